"""The public API: `/stylize`, streamed, with typed parameters. Everything else is private.

    from gradio_client import Client, handle_file
    job = Client(url).submit(handle_file("photo.jpg"), handle_file("painting.jpg"), "linear", 2.0,
                             api_name="/stylize")
    for image, info in job: ...
"""

from collections.abc import Iterator
from typing import Any

import gradio as gr

import nstlib
from demo import controls, files, messages, pictures, reproduce
from demo.engine import Job, frames
from demo.limits import LIMITS
from demo.room import HEAVY

Answer = tuple[str, dict[str, Any]]


def stylize(
    content: str,
    style: str,
    method: str = "linear",
    gamma: float = 1.0,
    size: int = 256,
    iterations: int = 240,
    seed: int = 0,
    encoder: str = "vgg19-slim",
    preset: str = "balanced",
) -> Iterator[Answer]:
    """Gives `content` the style of `style`; streams (picture, info) about once a second.

    The last picture is a PNG that carries its recipe. info: step, total, seconds, terms, done, note.
    """
    try:
        if problem := messages.missing(content, style):
            raise ValueError(problem)
        if preset not in nstlib.PRESETS:
            raise ValueError(f"unknown preset {preset!r}; presets are {', '.join(nstlib.PRESETS)}")
        chosen = nstlib.PRESETS[preset].replace(
            method=method, gamma=gamma, size=int(size), iterations=int(iterations), seed=int(seed), encoder=encoder
        )
        job = Job(controls.within_limits(chosen), content, style, seconds=LIMITS.seconds)
        yield from _answers(job, reproduce.file_name(chosen, content, style))
    except Exception as error:
        raise gr.Error(messages.explain(error, content, style), print_exception=False) from error


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


def build() -> None:
    """Registers the endpoint: its components are never shown, they give it its types and defaults."""
    defaults = controls.DEFAULTS
    with gr.Row(visible=False):
        inputs = [
            pictures.picture("content"),
            pictures.picture("style"),
            gr.Textbox(str(defaults.method), label="method"),
            gr.Number(defaults.gamma, label="gamma"),
            gr.Number(defaults.size, label="size", precision=0),
            gr.Number(defaults.iterations, label="iterations", precision=0),
            gr.Number(defaults.seed, label="seed", precision=0),
            gr.Dropdown(list(LIMITS.encoders), value=defaults.encoder, label="encoder"),
            gr.Textbox("balanced", label="preset"),
        ]
        outputs = [gr.Image(type="filepath", format="png", label="picture"), gr.JSON(label="info")]
        trigger = gr.Button("stylize", visible=False)
        trigger.click(stylize, inputs, outputs, api_name="stylize", **HEAVY)
