"""Figures that stand still: picture grids, curves, matrices, particle flows, witness maps.

Each helper draws and returns the figure or axes; showing or saving is the caller's. Type is large enough for
a projector (`setup`).
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from torch import Tensor

from nstlib.images import to_pil

# Okabe and Ito's palette: distinguishable with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")
TARGET = "#BBBBBB"


def setup(dpi: int = 90) -> None:
    """Large type, a palette for all eyes, no frame lines without meaning. dpi: pixels per inch."""
    plt.rcParams.update(
        {
            "figure.dpi": dpi,
            "savefig.dpi": dpi,
            "font.size": 14,
            "axes.titlesize": 15,
            "axes.labelsize": 14,
            "xtick.labelsize": 12,
            "ytick.labelsize": 12,
            "legend.fontsize": 12,
            "figure.titlesize": 16,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=COLOURS),
            "lines.linewidth": 2.2,
            "figure.constrained_layout.use": True,
        }
    )


def image_grid(
    images: Sequence[Sequence[Tensor | None]],
    *,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    title: str = "",
    width: float = 2.4,
) -> Figure:
    """Pictures in rows and columns, labelled at the left and on top. Returns the figure.

    images: rows of (1, 3, H, W) tensors in [0, 1], or (H, W) maps drawn in grey, lightest at the largest
    value; None leaves a gap. width: inches of one picture.
    """
    across = max(len(row) for row in images)
    shapes = [image.shape[-2:] for row in images for image in row if image is not None]
    tall = max(height / wide for height, wide in shapes)
    size = (
        width * across + 0.5 * bool(rows),
        width * tall * len(images) + 0.4 * bool(columns) + 0.5 * bool(title),
    )
    figure, axes = plt.subplots(len(images), across, figsize=size, squeeze=False)
    for i, row in enumerate(images):
        for j in range(across):
            ax, image = axes[i][j], row[j] if j < len(row) else None
            ax.set(xticks=[], yticks=[])
            for spine in ax.spines.values():
                spine.set_visible(False)
            if image is not None and image.dim() == 2:
                ax.imshow(image.detach().cpu().numpy(), cmap="gray")
            elif image is not None:
                ax.imshow(to_pil(image))
            if i == 0 and j < len(columns):
                ax.set_title(columns[j])
            if j == 0 and i < len(rows):
                ax.set_ylabel(rows[i])
    if title:
        figure.suptitle(title)
    return figure


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
    """One curve per entry, named in the legend. x: shared abscissae (default: 1, 2, …).

    log: "x", "y" or "xy" for logarithmic axes. Returns the axes, new ones if none are given.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(8 + 2 * (len(lines) > 3), 4.2))
    for name, values in lines.items():
        at = range(1, len(values) + 1) if x is None else x
        ax.plot(list(map(float, at)), list(map(float, values)), label=name, marker=marker or None)
    if "x" in log:
        ax.set_xscale("log")
    if "y" in log:
        ax.set_yscale("log")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if len(lines) > 3:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    elif len(lines) > 1:
        ax.legend(frameon=False)
    return ax


def matrix(M: Tensor, *, title: str = "", labels: str = "channel", ax: Axes | None = None) -> Axes:
    """A matrix as colours, white at 0, blue below, red above; entries written in where they fit."""
    if ax is None:
        _, ax = plt.subplots(figsize=(4.2, 4))
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


def scatter(ax: Axes, points: Tensor, label: str = "", colour: str = COLOURS[0], size: float = 14) -> None:
    """2-D points (2, M) as dots."""
    x, y = points.detach().cpu().tolist()
    ax.scatter(x, y, s=size, color=colour, label=label or None, alpha=0.75, linewidths=0)


def particle_flow(
    flows: Mapping[str, Sequence[Tensor]], target: Tensor, *, columns: Sequence[str] = (), reach: float = 0.0
) -> Figure:
    """Snapshots of moving points, a row per flow: target grey, particles coloured. Returns the figure.

    flows: name → snapshots (2, M) in time order. target: (2, M'). columns: a title per snapshot.
    reach: from the target's mean to the window's sides, to compare figures (0: as far as there are points).
    """
    count = max(len(frames) for frames in flows.values())
    everything = torch.cat([target, *(frame for frames in flows.values() for frame in frames)], dim=-1)
    centre = target.mean(-1)
    reach = reach or 1.1 * float((everything - centre[:, None]).abs().quantile(0.995))
    figure, axes = plt.subplots(
        len(flows), count, figsize=(2.7 * count, 2.7 * len(flows) + 0.4), squeeze=False
    )
    for i, (name, frames) in enumerate(flows.items()):
        for j in range(count):
            ax = axes[i][j]
            ax.set(xticks=[], yticks=[], aspect="equal")
            ax.set_xlim(float(centre[0] - reach), float(centre[0] + reach))
            ax.set_ylim(float(centre[1] - reach), float(centre[1] + reach))
            for spine in ax.spines.values():
                spine.set_visible(True)
                spine.set_color(TARGET)
            scatter(ax, target, colour=TARGET)
            if j < len(frames):
                scatter(ax, frames[j], colour=COLOURS[i % len(COLOURS)])
            if i == 0 and j < len(columns):
                ax.set_title(columns[j])
            if j == 0:
                ax.set_ylabel(name)
    return figure


def witness_maps(
    images: Sequence[Tensor],
    maps: Sequence[Mapping[str, Tensor]],
    *,
    rows: Sequence[str] = (),
    width: float = 2.4,
) -> Figure:
    """Where pictures still deviate from a style: a row for each, the picture and a map per layer.

    images: (1, 3, H, W), e.g. those of some steps of a run. maps: for each, layer → witness (H_l, W_l), as
    `synthesis.witnesses` gives them. Red is more than the style has, blue is less; one scale per layer, the
    largest value of the first row, so that a run's deviations fade from row to row. Returns the figure.
    """
    names = list(maps[0])
    limits = {name: float(maps[0][name].abs().max()) or 1.0 for name in names}
    shape = images[0].shape[2] / images[0].shape[3]
    size = (width * (1 + len(names)), width * shape * len(images) + 0.4)
    figure, axes = plt.subplots(len(images), 1 + len(names), figsize=size, squeeze=False)
    for i, (image, found) in enumerate(zip(images, maps, strict=True)):
        axes[i][0].imshow(to_pil(image))
        axes[i][0].set_ylabel(rows[i] if i < len(rows) else "")
        for ax, name in zip(axes[i][1:], names, strict=True):
            shown = found[name].detach().cpu().double()
            stretch = shape * shown.shape[1] / shown.shape[0]  # as the picture's sides
            ax.imshow(shown.numpy(), cmap="RdBu_r", vmin=-limits[name], vmax=limits[name], aspect=stretch)
            if i == 0:
                ax.set_title(name)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    return figure
