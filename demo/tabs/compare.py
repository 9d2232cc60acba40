"""The Compare tab: the paper's Figures 2, 3 and 4 with the user's own images."""

from typing import Any

import nstlib
from demo.components import messages
from demo.components.grid import Cell, Grid, input_cell, shape_of
from demo.components.method_controls import ALL, NAMES
from demo.runs.engine import Job
from demo.tabs.grid_tab import Kinds

KINDS: Kinds = {
    "methods": (
        "Four methods",
        "One image by each of the paper's four methods, in place of your method. All your other choices "
        "apply, except the second style.",
    ),
    "gamma": (
        "From content to style (γ)",
        "Your method at five values of γ. All your other choices apply, except the second style.",
    ),
    "fusion": (
        "From one method to another (fusion)",
        "Five mixes of two methods: those of your fusion, or BN and polynomial if you chose no fusion. "
        "All your other choices apply, except the second style.",
    ),
}
GAMMAS = (0.1, 0.3, 1.0, 3.0, 10.0)
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
SHORT = ALL | {"bn": "BN", "poly": "Gram", "linear": "linear", "gaussian": "Gaussian"}


def variants(kind: str, settings: nstlib.Settings) -> tuple[str, dict[str, dict[str, Any]]]:
    """Returns (title, {label: change of the settings}). Raises ValueError for an unknown kind."""
    if kind == "methods":
        changes = {label: {"method": name} for name, label in NAMES.items()}
        return f"Four methods, γ = {settings.gamma:g}", changes
    if kind == "gamma":
        title = f"Method {settings.method}: more content, more style"
        return title, {f"γ = {gamma:g}": {"gamma": gamma} for gamma in GAMMAS}
    if kind == "fusion":
        parts = [str(part) for part, _ in settings.discrepancy.components()]
        first, second = parts[:2] if len(parts) > 1 else ("bn", "poly")
        changes = {
            f"{1 - share:.1g} {_short(first)} + {share:g} {_short(second)}": {
                "method": f"{first}:{1 - share:.1g}+{second}:{share:g}"
            }
            for share in SHARES
        }
        return f"Fusion of two methods, γ = {settings.gamma:g}", changes
    raise ValueError(f"unknown comparison {kind!r}; comparisons are {', '.join(KINDS)}")


def plan(kind: str, settings: nstlib.Settings, content: str | None, style: str | None) -> Grid:
    """The grid of a comparison before any run. Raises ValueError if an image is missing."""
    if problem := messages.missing(content, style):
        raise ValueError(problem)
    assert content and style
    title, changes = variants(kind, settings)
    cells = [
        Cell(label, f"The content in the style, {label}", Job(settings.replace(**change), content, style))
        for label, change in changes.items()
    ]
    beside = [input_cell("Content", content, settings.size), input_cell("Style", style, settings.size)]
    return Grid(title, cells, -(-len(cells) // 2), shape_of(content), beside)


def _short(method: str) -> str:
    """A short name of a method, with its options."""
    name, _, options = method.partition("(")
    return f"{SHORT.get(name, name)} ({options}" if options else SHORT.get(name, name)
