"""Figures that move: features on their way to a style, and sliders where somebody is there to slide."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.animation import FuncAnimation
from matplotlib.collections import PathCollection
from torch import Tensor

from nstlib.figures.drawing import COLOURS, TARGET, scatter


def projected(frames: Sequence[Tensor], S: Tensor, points: int = 400) -> tuple[list[Tensor], Tensor]:
    """Features seen along the style's two widest directions: frames (N, M) and S (N, M') → (2, ·) each.

    At most `points` positions of each, evenly taken, the same in every frame.
    """

    def some(X: Tensor) -> Tensor:
        chosen = torch.linspace(
            0, X.shape[1] - 1, min(points, X.shape[1]), dtype=torch.float32, device="cpu"
        ).long()
        return X.detach().cpu().double()[:, chosen]

    whole = S.detach().cpu().double()
    centre = whole.mean(1, keepdim=True)
    _, vectors = torch.linalg.eigh((whole - centre) @ (whole - centre).mT)
    axes = vectors[:, -2:].mT.flip(0)  # (2, N), the widest first
    return [axes @ (some(F) - centre) for F in frames], axes @ (some(S) - centre)


def animation(
    frames: Sequence[Tensor], target: Tensor, *, interval: int = 120, title: str = ""
) -> FuncAnimation:
    """Points (2, M) on their way to a target (2, M'), frame by frame. `.save("flow.gif")` keeps it.

    interval: milliseconds a frame.
    """
    figure, ax = plt.subplots(figsize=(4.2, 4.2))
    everything = torch.cat([target, *frames], 1)
    low, high = everything.quantile(0.005, dim=1), everything.quantile(0.995, dim=1)
    margin = 0.1 * (high - low)
    ax.set(xticks=[], yticks=[], title=title)
    ax.set_xlim(float(low[0] - margin[0]), float(high[0] + margin[0]))
    ax.set_ylim(float(low[1] - margin[1]), float(high[1] + margin[1]))
    scatter(ax, target, colour=TARGET)
    x, y = frames[0].tolist()
    moving = ax.scatter(x, y, s=14, color=COLOURS[0], alpha=0.75, linewidths=0)

    def draw(index: int) -> tuple[PathCollection]:
        moving.set_offsets(frames[index].mT.numpy())
        return (moving,)

    return FuncAnimation(figure, draw, frames=len(frames), interval=interval, blit=True)


def slide(draw: Callable[..., object], **controls: Sequence[Any]) -> None:
    """The figure that `draw` shows for the first value of every control; in a notebook, with sliders below.

        figures.slide(lambda sigma: show(sigma), sigma=(0.5, 0.1, 0.2, 1.0, 2.0))

    draw: called with one value per control, by name; it draws and shows. controls: at least one value each,
    the first to start with; the slider has them in ascending order. Where a notebook runs without anybody in
    front of it (nbconvert, nbval), where ipywidgets is missing, and outside notebooks, the figure alone.
    Raises ValueError for a control without values.
    """
    if empty := [name for name, values in controls.items() if not values]:
        raise ValueError(f"a slider needs at least one value: none for {', '.join(empty)}")
    first = {name: values[0] for name, values in controls.items()}
    widgets = _widgets()
    if widgets is None:
        draw(**first)
        return
    sliders = {
        name: widgets.SelectionSlider(options=sorted(set(values)), value=first[name], description=name)
        for name, values in controls.items()
    }
    widgets.interact(draw, **sliders)


def _widgets() -> Any:
    """The module ipywidgets, where a slider can be moved; else None. A front end that somebody sits at lets a
    cell ask for input, one that only runs a notebook does not."""
    try:
        from IPython.core.getipython import get_ipython

        kernel = getattr(get_ipython(), "kernel", None)
        if not getattr(kernel, "_allow_stdin", False):
            return None
        import ipywidgets
    except ImportError:
        return None
    return ipywidgets
