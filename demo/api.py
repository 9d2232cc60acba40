"""The public API: the endpoints `/stylize` and `/compare`, which stream their results, and `/onepass`.

No other endpoint is public. The parameters are typed. docs/howto/app.md shows how a program calls the API.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import wraps
from typing import Any

import gradio as gr

import nstlib
from demo.components import controls, messages, presets, reproduce
from demo.components.common import HEAVY
from demo.components.grid import fill, sheet
from demo.runs import files
from demo.runs.engine import Job, frames
from demo.runs.limits import LIMITS
from demo.runs.preview import one_pass, quick
from demo.tabs import compare as comparisons
from nstlib.inputs import check_share

Answer = tuple[str, dict[str, Any]]
Endpoint = Callable[..., Iterator[Answer]]
OPTIONS = ("method", "gamma", "size", "iterations", "seed", "encoder", "colours")
SIZE, STEPS = 160, 100  # the defaults of a comparison


def explained(run: Endpoint) -> Endpoint:
    """Checks that both images are there before `run` starts, and explains its errors in plain sentences."""

    @wraps(run)
    def endpoint(content: str, style: str, *options: Any) -> Iterator[Answer]:
        try:
            if problem := messages.missing(content, style):
                raise ValueError(problem)
            yield from run(content, style, *options)
        except Exception as error:
            raise gr.Error(messages.explain(error, content, style), print_exception=False) from error

    return endpoint


@explained
def stylize(
    content: str,
    style: str,
    method: str | None = None,
    gamma: float | None = None,
    size: float | None = None,
    iterations: float | None = None,
    seed: float = 0,
    encoder: str | None = None,
    preset: str = "balanced",
    colours: str | None = None,
) -> Iterator[Answer]:
    """Gives `content` the style of `style`. Streams (image, info) about once a second.

    An option that is left out has the value of the preset. Each image is a PNG that carries its recipe.
    info: step, total, seconds, terms, done, note.
    """
    if preset not in nstlib.PRESETS:
        raise ValueError(f"unknown preset {preset!r}; presets are {', '.join(nstlib.PRESETS)}")
    usual = presets.published(preset)
    settings = _settings(usual, method, gamma, size, iterations, seed, encoder, colours)
    with closing(frames(Job(settings, content, style))) as run, files.outbox() as folder:
        for frame in run:
            if frame.pixels is None:
                continue
            info = {"step": frame.index, "total": frame.total, "seconds": round(frame.seconds, 3)}
            info |= {"terms": frame.terms[-1][1], "done": frame.done, "note": frame.note}
            last = reproduce.file_name(settings, content, style)
            path = folder / (last if frame.done else f"step-{frame.index}.png")
            yield files.save_png(frame.pixels, frame.recipe | {"step": frame.index}, path), info


@explained
def onepass(
    content: str,
    style: str,
    method: str | None = None,
    gamma: float | None = None,
    size: float | None = None,
    seed: float = 0,
    colours: str | None = None,
    strength: float | None = None,
) -> Iterator[Answer]:
    """Gives `content` the style of `style` in one pass, without optimisation. Returns (image, info).

    The defaults are those of `nstlib.onepass`, at 256 px: method "poly" and strength 1. `strength` is 0 … 1.
    Instead of the strength you can give the balance γ of a run. The app converts γ to the strength
    min(1, 1.25 γ / (γ + 1/2)): γ = 0.1 gives 0.21, γ = 0.5 gives 0.63, and γ ≥ 2 gives 1.
    The image is a PNG that carries its recipe. info: seconds.
    """
    begun = time.perf_counter()
    if gamma is None:
        check_share(strength := 1.0 if strength is None else strength, "strength")
    elif strength is not None:
        raise ValueError("gamma and strength both say how strong the style is: give one of them")
    usual = presets.published("draft").replace(method="poly")
    settings = _settings(usual, method, gamma, size, None, seed, None, colours)
    pixels, recipe = one_pass(quick(Job(settings, content, style)), strength)
    with files.outbox() as folder:
        path = folder / reproduce.file_name(settings, content, style)
        yield files.save_png(pixels, recipe, path), {"seconds": round(time.perf_counter() - begun, 3)}


@explained
def compare(
    content: str,
    style: str,
    kind: str = "methods",
    method: str | None = None,
    gamma: float | None = None,
    size: float | None = None,
    iterations: float | None = None,
    seed: float = 0,
    encoder: str | None = None,
    colours: str | None = None,
) -> Iterator[Answer]:
    """Makes several results on one sheet.

    kind: "methods" compares the four methods, "gamma" five values of γ, "fusion" five mixes of two methods.
    By default, an image has 160 px and takes 100 steps. Streams (sheet, info) each time an image is finished.
    info: finished, total, labels, done.
    """
    usual = nstlib.Settings(size=SIZE, iterations=STEPS)
    settings = _settings(usual, method, gamma, size, iterations, seed, encoder, colours)
    grid = comparisons.plan(kind, settings, content, style)
    deadline, cells = time.perf_counter() + LIMITS.seconds, grid.jobs()
    labels = [cell.label for cell in cells]
    with files.outbox() as folder:
        for cell in fill(grid, deadline):
            late = time.perf_counter() > deadline
            if cell.active and not late:
                continue
            number = cells.index(cell) + 1
            info = {"finished": number - cell.active, "total": len(cells), "labels": labels}
            info["done"] = number == len(cells) or late
            yield files.save_png(sheet(grid), grid.recipe(), folder / f"compare-{number}.png"), info


def _settings(base: nstlib.Settings, *values: Any) -> nstlib.Settings:
    """Returns `base` with the `OPTIONS` that the caller chose. Raises a ValueError that names the field."""
    chosen = {name: value for name, value in zip(OPTIONS, values, strict=True) if value not in (None, "")}
    return controls.check_limits(base.parse(**chosen))


def build() -> None:
    """Registers the endpoints. Their components are invisible: they only define types and defaults."""
    kinds, ways = list(comparisons.KINDS), list(controls.FIELDS["colours"].metadata["choices"])
    with gr.Row(visible=False):
        preset = gr.Dropdown(list(nstlib.PRESETS), value="balanced", label="preset")
        colours = gr.Dropdown(ways, value=None, label="colours")
        options = [  # in the order of `OPTIONS`. gr.Number accepts a size of 1.5, which Settings rejects
            gr.Textbox(None, label="method"),
            *(gr.Number(None, label=name) for name in OPTIONS[1:4]),
            gr.Number(0, label="seed"),
            gr.Dropdown(list(LIMITS.encoders), value=None, label="encoder"),
        ]
        _endpoint(stylize, *options, preset, colours)
        _endpoint(onepass, *options[:3], options[4], colours, gr.Number(None, label="strength"))
        _endpoint(compare, gr.Dropdown(kinds, value="methods", label="kind"), *options, colours)


def _endpoint(function: Endpoint, *options: gr.components.Component) -> None:
    name = function.__name__
    images = [gr.Image(type="filepath", image_mode=None, label=part) for part in ("content", "style")]
    outputs = [gr.Image(type="filepath", format="png", label="image"), gr.JSON(label="info")]
    gr.Button(name).click(function, [*images, *options], outputs, api_name=name, **HEAVY)
