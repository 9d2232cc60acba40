"""The public API: `/stylize` and `/compare`, streamed, with typed parameters. Everything else is private.

from gradio_client import Client, handle_file
job = Client(url).submit(handle_file("photo.jpg"), handle_file("painting.jpg"), "linear", 2.0,
                         api_name="/stylize")
for image, info in job: ...
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

import nstlib
from demo.parts import controls, messages, pictures, presets, reproduce
from demo.parts.grid import Grid, fill
from demo.parts.sheet import sheet
from demo.rooms import compare as comparisons
from demo.rooms.room import HEAVY
from demo.runs import files
from demo.runs.engine import Job, frames
from demo.runs.limits import LIMITS

Answer = tuple[str, dict[str, Any]]


def stylize(
    content: str,
    style: str,
    method: str | None = None,
    gamma: float | None = None,
    size: int | None = None,
    iterations: int | None = None,
    seed: int = 0,
    encoder: str | None = None,
    preset: str = "balanced",
) -> Iterator[Answer]:
    """Gives `content` the style of `style`; streams (picture, info) about once a second.

    What is left out is as the preset has it. The last picture is a PNG that carries its recipe.
    info: step, total, seconds, terms, done, note.
    """
    try:
        if problem := messages.missing(content, style):
            raise ValueError(problem)
        if preset not in nstlib.PRESETS:
            raise ValueError(f"unknown preset {preset!r}; presets are {', '.join(nstlib.PRESETS)}")
        chosen = _chosen(presets.as_published(preset), method, gamma, size, iterations, seed, encoder)
        job = Job(controls.within_limits(chosen), content, style, seconds=LIMITS.seconds)
        yield from _answers(job, reproduce.file_name(chosen, content, style))
    except Exception as error:
        raise gr.Error(messages.explain(error, content, style), print_exception=False) from error


def _chosen(
    base: nstlib.Settings,
    method: str | None,
    gamma: float | None,
    size: float | None,
    iterations: float | None,
    seed: float | None,
    encoder: str | None,
) -> nstlib.Settings:
    """`base` with what a caller chose. Raises ValueError that names the field."""
    changes = {
        "method": method or None,
        "gamma": gamma,
        "size": _whole("size", size),
        "iterations": _whole("iterations", iterations),
        "seed": _whole("seed", seed),
        "encoder": encoder or None,
    }
    return base.replace(**{name: value for name, value in changes.items() if value is not None})


def _whole(name: str, value: float | None) -> int | None:
    """Numbers come as JSON has them: 256.0 is whole, 1.5 and NaN are not."""
    if value is None:
        return None
    if not math.isfinite(value) or value != int(value) or abs(value) > 2**53:
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    return int(value)


def _answers(job: Job, name: str) -> Iterator[Answer]:
    run = frames(job)
    try:
        with files.outbox() as folder:
            for frame in run:
                if frame.pixels is None:
                    continue
                info = {
                    "step": frame.index,
                    "total": frame.total,
                    "seconds": round(frame.seconds, 3),
                    "terms": frame.terms[-1][1],
                    "done": frame.done,
                    "note": frame.note,
                }
                target = folder / (name if frame.done else f"step-{frame.index}.png")
                yield files.save_png(frame.pixels, frame.recipe | {"step": frame.index}, target), info
    finally:
        run.close()  # type: ignore[attr-defined]


def compare(
    content: str,
    style: str,
    kind: str = "methods",
    method: str | None = None,
    gamma: float | None = None,
    size: int | None = None,
    iterations: int | None = None,
    seed: int = 0,
    encoder: str | None = None,
) -> Iterator[Answer]:
    """Several answers on one sheet: the four methods, a sweep of γ ("gamma") or of a fusion ("fusion").

    Streams (sheet, info) each time a picture is finished. info: finished, total, labels, done.
    """
    try:
        usual = nstlib.Settings(size=comparisons.SIZE, iterations=comparisons.STEPS)
        chosen = _chosen(usual, method, gamma, size, iterations, seed, encoder)
        grid = comparisons.plan(kind, controls.within_limits(chosen), content, style, LIMITS.seconds)
        yield from _sheets(grid)
    except Exception as error:
        raise gr.Error(messages.explain(error, content, style), print_exception=False) from error


def _sheets(grid: Grid) -> Iterator[Answer]:
    deadline, cells = time.perf_counter() + LIMITS.seconds, grid.jobs()
    with files.outbox() as folder:
        for cell in fill(grid, deadline):
            late = time.perf_counter() > deadline
            if cell.active and not late:
                continue
            number = cells.index(cell) + 1
            info = {
                "finished": number - (1 if cell.active else 0),
                "total": len(cells),
                "labels": [c.label for c in cells],
                "done": number == len(cells) or late,
            }
            yield files.save_png(sheet(grid), grid.recipe(), folder / f"compare-{number}.png"), info


def build() -> None:
    """Registers the endpoints: their components are never shown, they give types and defaults."""
    with gr.Row(visible=False):
        _endpoint(stylize, *_options(), gr.Dropdown(list(nstlib.PRESETS), value="balanced", label="preset"))
        _endpoint(
            compare,
            gr.Dropdown(list(comparisons.KINDS.values()), value="methods", label="kind"),
            *_options(),
        )


def _options() -> list[gr.components.Component]:
    """What a caller may leave out; whole numbers are checked here, where the field can be named."""
    numbers = [gr.Number(None, label=name) for name in ("gamma", "size", "iterations")]
    return [
        gr.Textbox(None, label="method"),
        *numbers,
        gr.Number(0, label="seed"),
        gr.Dropdown(list(LIMITS.encoders), value=None, label="encoder"),
    ]


def _endpoint(function: Callable[..., Iterator[Answer]], *options: gr.components.Component) -> None:
    name = function.__name__
    inputs = [pictures.picture("content"), pictures.picture("style"), *options]
    outputs = [gr.Image(type="filepath", format="png", label="picture"), gr.JSON(label="info")]
    gr.Button(name).click(function, inputs, outputs, api_name=name, **HEAVY)
