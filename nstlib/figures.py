"""Figures for notebooks and papers. Only this module imports matplotlib, and no module imports this one.

Each function draws and returns a figure or axes, which the caller shows or saves. `setup` sets a font size
that is large enough for a projector.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from torch import Tensor

from nstlib.images import to_pil

# Okabe and Ito's palette: distinguishable with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")
TARGET = "#BBBBBB"


def setup(dpi: int = 90) -> None:
    """Sets matplotlib's defaults: large type, colour-blind-safe colours, few lines. dpi: pixels per inch."""
    plt.rc("figure", dpi=dpi, titlesize=16, **{"constrained_layout.use": True})
    plt.rc("savefig", dpi=dpi)
    plt.rc("font", size=14)
    plt.rc("axes", titlesize=15, labelsize=14, prop_cycle=cycler(color=COLOURS))
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("xtick", labelsize=12)
    plt.rc("ytick", labelsize=12)
    plt.rc("legend", fontsize=12)
    plt.rc("lines", linewidth=2.2)


def image_grid(
    images: Sequence[Sequence[Tensor | None]],
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    title: str = "",
    width: float = 2.4,
) -> Figure:
    """Draws images in rows and columns, with labels at the left and on top.

    images: rows of (1, 3, H, W) tensors in [0, 1], or (H, W) maps drawn in grey, with white at the largest
    value. None leaves a gap. width: width of one image in inches.
    """
    across = max(len(row) for row in images)
    shapes = [image.shape[-2:] for row in images for image in row if image is not None]
    tall = width * max(height / wide for height, wide in shapes)
    size = (width * across + 0.5 * bool(rows), tall * len(images) + 0.4 * bool(columns) + 0.5 * bool(title))
    figure, axes = _grid(len(images), across, size, rows, columns)
    for row, places in zip(images, axes, strict=True):
        for ax, image in zip(places, row, strict=False):
            if image is not None and image.dim() == 2:
                ax.imshow(image.detach().cpu().numpy(), cmap="gray")
            elif image is not None:
                ax.imshow(to_pil(image))
    for ax in axes.flat:
        ax.spines[:].set_visible(False)
    if title:
        figure.suptitle(title)
    return figure


def _grid(
    down: int, across: int, size: tuple[float, float], rows: Sequence[str], columns: Sequence[str]
) -> tuple[Figure, Any]:
    """Returns a figure of size (width, height) in inches, and its labelled axes [row, column]."""
    bare: dict[str, Any] = {"xticks": [], "yticks": []}
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False, subplot_kw=bare)
    for ax, text in zip(axes[:, 0], rows, strict=False):
        ax.set_ylabel(text)
    for ax, text in zip(axes[0], columns, strict=False):
        ax.set_title(text)
    return figure, axes


def curves(
    lines: Mapping[str, Sequence[float] | Tensor],
    *,
    x: Sequence[float] | Tensor | None = None,
    xlabel: str = "step",
    ylabel: str = "loss",
    title: str = "",
    log: str = "",
    marker: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draws one curve for each entry of `lines`, with a legend if there are several.

    x: values for all curves (default: 1, 2, …). log: "x", "y" or "xy". ax: axes to draw into (default: new).
    """
    ax = ax or plt.subplots(figsize=(8 + 2 * (len(lines) > 3), 4.2))[1]
    for name, values in lines.items():
        at = range(1, len(values) + 1) if x is None else x
        ax.plot(list(map(float, at)), list(map(float, values)), label=name, marker=marker or None)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    for axis in log:
        getattr(ax, f"set_{axis}scale")("log")
    if len(lines) > 3:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    elif len(lines) > 1:
        ax.legend(frameon=False)
    return ax


def matrix(M: Tensor, *, title: str = "", labels: str = "channel", ax: Axes | None = None) -> Axes:
    """Draws a matrix in colours (white at 0, blue below, red above), up to 8 × 8 with its numbers."""
    ax = ax or plt.subplots(figsize=(4.2, 4))[1]
    values = M.detach().cpu().double()
    limit = float(values.abs().max()) or 1.0
    ax.imshow(values.numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit)
    if max(values.shape) <= 8:
        for i, row in enumerate(values.tolist()):
            for j, value in enumerate(row):
                colour = "white" if abs(value) > 0.6 * limit else "black"
                ax.text(j, i, f"{value:.3g}", ha="center", va="center", color=colour)
        ax.set(xticks=range(values.shape[1]), yticks=range(values.shape[0]))
    ax.set(title=title, xlabel=labels, ylabel=labels)
    return ax


def scatter(
    ax: Axes, points: Tensor, label: str | None = None, colour: str = COLOURS[0], size: float = 14
) -> PathCollection:
    """Draws points (2, M) as dots."""
    x, y = points.detach().cpu().tolist()
    return ax.scatter(x, y, s=size, color=colour, label=label, alpha=0.75, linewidths=0)


def particle_flow(
    flows: Mapping[str, Sequence[Tensor]], target: Tensor, *, columns: Sequence[str] = (), reach: float = 0.0
) -> Figure:
    """Draws snapshots of moving points, one row per flow. The target is grey, the points are coloured.

    flows: name → snapshots (2, M) in time order. target: (2, M'). columns: a title per snapshot.
    reach: half the width of the axes, centred at the target's mean (0: wide enough for nearly all points).
    """
    centre = target.mean(-1)
    everything = torch.cat([target, *(frame for frames in flows.values() for frame in frames)], -1)
    reach = reach or 1.1 * float((everything - centre[:, None]).abs().quantile(0.995))
    (left, right), (low, high) = ((float(x) - reach, float(x) + reach) for x in centre)
    count, down = max(map(len, flows.values())), len(flows)
    figure, axes = _grid(down, count, (2.7 * count, 2.7 * down + 0.4), list(flows), columns)
    for ax in axes.flat:
        ax.set(aspect="equal", xlim=(left, right), ylim=(low, high))
        ax.spines[:].set(visible=True, color=TARGET)
        scatter(ax, target, colour=TARGET)
    for i, frames in enumerate(flows.values()):
        for ax, frame in zip(axes[i], frames, strict=False):
            scatter(ax, frame, colour=COLOURS[i % len(COLOURS)])
    return figure


def witness_maps(
    images: Sequence[Tensor],
    maps: Sequence[Mapping[str, Tensor]],
    *,
    rows: Sequence[str] = (),
    width: float = 2.4,
) -> Figure:
    """Draws where images differ from a style. Each row shows an image and one map per layer.

    images: (1, 3, H, W). maps: for each image, {layer: witness (H_l, W_l)} as `synthesis.witnesses` returns
    it. In red regions, the image has more of a feature than the style. The first row sets each layer's scale.
    """
    names, limits = list(maps[0]), {name: float(x.abs().max()) or 1.0 for name, x in maps[0].items()}
    shape = images[0].shape[2] / images[0].shape[3]
    size = (width * (1 + len(names)), width * shape * len(images) + 0.4)
    figure, axes = _grid(len(images), 1 + len(names), size, rows, ["", *names])
    for places, image, found in zip(axes, images, maps, strict=True):
        places[0].imshow(to_pil(image))
        for ax, name in zip(places[1:], names, strict=True):
            shown = found[name].detach().cpu().double()
            stretch = shape * shown.shape[1] / shown.shape[0]  # so that it has the proportions of the image
            ax.imshow(shown.numpy(), cmap="RdBu_r", vmin=-limits[name], vmax=limits[name], aspect=stretch)
    return figure


def projected(frames: Sequence[Tensor], S: Tensor, points: int = 400) -> tuple[list[Tensor], Tensor]:
    """Projects frames (N, M) and S (N, M') on the style's two directions of largest variance: (2, ·) each.
    It keeps at most `points` evenly spaced positions, the same ones in every frame."""

    def some(X: Tensor) -> Tensor:
        count = min(points, X.shape[1])
        chosen = torch.linspace(0, X.shape[1] - 1, count, dtype=torch.float32, device="cpu").long()
        return X.detach().cpu().double()[:, chosen]

    whole = S.detach().cpu().double()
    centre = whole.mean(1, keepdim=True)
    _, vectors = torch.linalg.eigh((whole - centre) @ (whole - centre).mT)
    axes = vectors[:, -2:].mT.flip(0)  # (2, N), the largest variance first
    return [axes @ (some(F) - centre) for F in frames], axes @ (some(S) - centre)


def animation(
    frames: Sequence[Tensor], target: Tensor, *, interval: int = 120, title: str = ""
) -> FuncAnimation:
    """Animates points (2, M) that move to a target (2, M'). A frame lasts `interval` milliseconds. Call
    `.save("flow.gif")` on the result to write a file."""
    figure, ax = plt.subplots(figsize=(4.2, 4.2))
    everything = torch.cat([target, *frames], 1)
    low, high = everything.quantile(0.005, dim=1), everything.quantile(0.995, dim=1)
    (left, bottom), (right, top) = (low - 0.1 * (high - low)).tolist(), (high + 0.1 * (high - low)).tolist()
    ax.set(xticks=[], yticks=[], title=title, xlim=(left, right), ylim=(bottom, top))
    scatter(ax, target, colour=TARGET)
    moving = scatter(ax, frames[0])

    def draw(index: int) -> tuple[PathCollection]:
        moving.set_offsets(frames[index].mT.numpy())
        return (moving,)

    return FuncAnimation(figure, draw, frames=len(frames), interval=interval, blit=True)


def slide(draw: Callable[..., object], **controls: Sequence[Any]) -> None:
    """Shows the figure that `draw` makes, in a notebook with one slider for each control.

        figures.slide(lambda sigma: show(sigma), sigma=(0.5, 0.1, 0.2, 1.0, 2.0))

    Without a user (nbconvert, nbval), ipywidgets or a notebook, it shows the figure for the first values.

    Args:
        draw: function that draws and shows the figure. It gets one value per control, by name.
        controls: values of each control, the initial one first. The slider shows them in ascending order.

    Raises:
        ValueError: A control has no values.
    """
    if empty := [name for name, values in controls.items() if not values]:
        raise ValueError(f"a slider needs at least one value: none for {', '.join(empty)}")
    # A front end with a user allows cells to ask for input. A program that only runs notebooks does not.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not getattr(getattr(shell, "kernel", None), "_allow_stdin", False) or not find_spec("ipywidgets"):
        draw(**{name: values[0] for name, values in controls.items()})
        return
    import ipywidgets as widgets

    def slider(name: str, values: Sequence[Any]) -> Any:
        return widgets.SelectionSlider(options=sorted(set(values)), value=values[0], description=name)

    widgets.interact(draw, **{name: slider(name, values) for name, values in controls.items()})
