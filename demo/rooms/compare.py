"""Room 2, Compare: the paper's Figures 2, 3 and 4 from the visitor's own pictures."""

from typing import Any

import gradio as gr

import nstlib
from demo.parts import messages
from demo.parts.controls import Controls
from demo.parts.grid import Cell, Grid, given
from demo.parts.method_controls import ALL, NAMES
from demo.rooms import grid_room
from demo.runs.engine import Job

KINDS = {
    "Four methods": "methods",
    "From content to style (γ)": "gamma",
    "From one method to another (fusion)": "fusion",
}
ONE = " A second style and its regions have no part in this."
USED = {
    "methods": "The paper's four methods, one beside the other. All your other choices apply; only the one "
    f"method chosen does not.{ONE}",
    "gamma": "Your method at five values of γ. All your other choices apply; only the γ chosen does not."
    f"{ONE}",
    "fusion": "From one method to another: the two of your fusion, or else BN and polynomial. All your other "
    f"choices apply; only the mix chosen does not.{ONE}",
}
GAMMAS = (0.1, 0.3, 1.0, 3.0, 10.0)
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
SIZE, STEPS = 160, 100  # of the API, where the caller leaves them out


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
    beside = [
        given("Content", "The content picture", content, settings.size),
        given("Style", "The style picture", style, settings.size),
    ]
    cells = [
        Cell(
            label,
            f"The content in the style, {label}",
            Job(settings.replace(**change), content, style, seconds=seconds),
        )
        for label, change in variants(kind, settings)
    ]
    assert beside[0].pixels is not None
    shape = beside[0].pixels.shape[0] / beside[0].pixels.shape[1]
    return Grid(_title(kind, settings), cells, -(-len(cells) // 2), min(max(shape, 0.5), 1.5), beside)


def _title(kind: str, settings: nstlib.Settings) -> str:
    if kind == "methods":
        return f"Four methods, γ = {settings.gamma:g}"
    if kind == "gamma":
        return f"Method {settings.method}: more content, more style"
    return f"Fusion of two methods, γ = {settings.gamma:g}"


def _word(name: str) -> str:
    """A method in a word or two, its options with it."""
    plain, _, options = name.partition("(")
    word = {"bn": "BN", "poly": "Gram", "linear": "linear", "gaussian": "Gaussian"}.get(
        plain, ALL.get(plain, plain)
    )
    return f"{word} ({options}" if options else word


def build(content: gr.Image, style: gr.Image, controls: Controls) -> grid_room.GridRoom:
    """Lays the room out, in the current tab."""
    empty = Grid(
        "",
        [Cell(label, "") for label in NAMES.values()],
        2,
        beside=[Cell("Content", ""), Cell("Style", "")],
    )
    return grid_room.build("compare", "Compare", plan, KINDS, USED, content, style, controls, empty)
