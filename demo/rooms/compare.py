"""Room 2, Compare: the paper's Figures 2, 3 and 4 from the visitor's own pictures."""

from typing import Any

import gradio as gr

import nstlib
from demo.parts import messages
from demo.parts.controls import Controls
from demo.parts.grid import Cell, Grid, given
from demo.parts.method_controls import NAMES
from demo.rooms import grid_room
from demo.runs.engine import Job

KINDS = {
    "Four methods": "methods",
    "From content to style (γ)": "gamma",
    "From one method to another (fusion)": "fusion",
}
GAMMAS = (0.1, 0.3, 1.0, 3.0, 10.0)
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
SIZE, STEPS = 160, 100


def variants(kind: str, settings: nstlib.Settings) -> list[tuple[str, dict[str, Any]]]:
    """(label, change of settings) for each picture of a comparison. Raises ValueError for an unknown kind."""
    if kind == "methods":
        return [(label, {"method": name}) for name, label in NAMES.items()]
    if kind == "gamma":
        return [(f"γ = {gamma:g}", {"gamma": gamma}) for gamma in GAMMAS]
    if kind == "fusion":
        parts = [str(part) for part, _ in settings.discrepancy.parts()]
        first, second = parts[:2] if len(parts) > 1 else ("bn", "poly")
        return [
            (f"{1 - share:g} {_word(first)} + {share:g} {_word(second)}",
             {"method": f"{first}:{1 - share:.1f}+{second}:{share:g}"})
            for share in SHARES
        ]  # fmt: skip
    raise ValueError(f"unknown comparison {kind!r}; comparisons are {', '.join(KINDS.values())}")


def plan(
    kind: str, settings: nstlib.Settings, content: str | None, style: str | None, seconds: float
) -> Grid:
    """The grid of a comparison, with nothing run yet. Raises ValueError where a picture is missing."""
    if problem := messages.missing(content, style):
        raise ValueError(problem)
    assert content and style
    cells = []
    if kind in ("methods", "gamma"):
        cells.append(given("Content", "The content picture", content, settings.size))
    if kind in ("methods", "fusion"):
        cells.append(given("Style", "The style picture", style, settings.size))
    for label, change in variants(kind, settings):
        job = Job(settings.replace(**change), content, style, seconds=seconds)
        cells.append(Cell(label, f"The content in the style, {label}", job))
    shape = next((c.pixels.shape[0] / c.pixels.shape[1] for c in cells if c.pixels is not None), 0.75)
    return Grid(_title(kind, settings), cells, 3, min(max(shape, 0.5), 1.5))


def _title(kind: str, settings: nstlib.Settings) -> str:
    if kind == "methods":
        return f"Four methods, γ = {settings.gamma:g}"
    if kind == "gamma":
        return f"Method {settings.method}: more content, more style"
    return f"Fusion of two methods, γ = {settings.gamma:g}"


def _word(name: str) -> str:
    return {"bn": "BN", "poly": "Gram", "linear": "linear", "gaussian": "Gaussian"}.get(name, name)


def build(content: gr.Image, style: gr.Image, controls: Controls) -> grid_room.GridRoom:
    """Lays the room out, in the current tab."""
    gr.Markdown(
        "One click, the same two pictures, several answers side by side. γ and the other choices are yours."
    )
    empty = Grid("", [Cell(label, "") for label in ("Content", "Style", *NAMES.values())], 3)
    return grid_room.build("compare", "Compare", plan, KINDS, content, style, controls, SIZE, STEPS, empty)
