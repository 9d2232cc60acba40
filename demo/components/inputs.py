"""Everything that a user chooses: the input images with their examples, a second style, and the settings."""

from pathlib import Path
from typing import Any

import gradio as gr

import nstlib
from demo.components import messages
from demo.components.common import QUIET, Update, slider
from demo.components.controls import Controls
from demo.runs.engine import Job
from demo.runs.files import input_info, load_input
from demo.runs.limits import LIMITS
from demo.runs.masks import HALVES, check_region
from demo.runs.recipes import EXAMPLES

SMALL = 64  # px: a smaller image shows little
SHOWN = 2048  # px: of an image that is converted to be shown
BRUSH = "brush"
PLACES = [("Mixed everywhere", ""), *((half.capitalize(), half) for half in HALVES), ("Where I brush", BRUSH)]
CANVAS = (
    '<canvas width="64" height="64" aria-label="The content image, to brush on"></canvas>'
    '<button type="button">Clear brush</button>'
)
FIRST = {"contents": "harbour", "styles": "strokes"}
BROWSER_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "WEBP")


def examples(folder: str) -> list[str]:
    """The paths of the example images in a folder ("contents", "styles"), sorted by name."""
    return sorted(str(path) for path in (EXAMPLES / folder).glob("*.jpg"))


def first(folder: str) -> str:
    """The path of the image that is chosen when the page opens."""
    return str(EXAMPLES / folder / f"{FIRST[folder]}.jpg")


def image(label: str, **options: Any) -> gr.Image:
    """An input image as the untouched file. nstlib does rotation and transparency, and has better words than
    Gradio for a file that cannot be read."""
    return gr.Image(
        type="filepath",
        image_mode=None,
        format="png",
        sources=["upload", "clipboard", "webcam"],
        label=label,
        buttons=["fullscreen"],
        **options,
    )


def check(path: str | None) -> tuple[Any, Any]:
    """After an upload: (image, status). Keeps a readable image, as a PNG if browsers cannot show it.
    Otherwise removes it and says why."""
    if path is None:
        return gr.skip(), gr.skip()
    try:  # a panorama may be too narrow at one size and not at another: the run says so
        load_input(path, LIMITS.size)
        width, height, kind = input_info(path)
        if kind not in BROWSER_FORMATS:
            # not larger than needed: a PNG of 2048 px takes seconds to write
            size = min(max(width, height, LIMITS.size), max(SHOWN, LIMITS.size))
            return nstlib.to_pil(load_input(path, size)), gr.skip()
    except Exception as error:
        return None, messages.alert(messages.explain(error, path))
    if max(width, height) < SMALL:
        words = f"This image has only {width} × {height} px. It will be enlarged, and show little."
        return gr.skip(), messages.note(words)
    return gr.skip(), gr.skip()


def build(id: str, label: str, folder: str, value: str | None) -> gr.Image:
    """An input image with the examples of a folder, in the current Blocks."""
    alt = f"The {label.lower()} image"
    with gr.Column(min_width=150):
        component = image(label, value=value, height=210, elem_id=id, alt_text=alt)
        gr.Examples(
            [[path] for path in examples(folder)],
            component,
            label=f"Examples: {label.lower()}",
            examples_per_page=12,
            cache_examples=False,
            api_visibility="private",
            elem_id=f"{id}-examples",
        )
    return component


class SecondStyle:
    """The components. It lays them out in the current Blocks."""

    def __init__(self) -> None:
        with gr.Accordion("A second style", open=False, elem_id="second-style"):
            self.image = build("second", "Second style", "styles", None)
            with gr.Row():
                self.place = gr.Radio(PLACES, value="", label="Where it goes", elem_id="place", min_width=220)
                self.share = slider("How much of it", 0, 1, 0.5, 0.05, "share", min_width=130)
            script = Path(__file__).with_name("brush.js").read_text(encoding="utf-8")
            self.brushed = gr.HTML(
                "", html_template=CANVAS, js_on_load=script, elem_id="brush", visible=False
            )
        self.inputs = {self.image, self.share, self.place, self.brushed}
        self.place.change(
            lambda place: [gr.update(visible=place == BRUSH), gr.update(visible=place == "")],
            self.place,
            [self.brushed, self.share],
            **QUIET,
        )

    def read(self, values: dict[Any, Any]) -> tuple[str | None, tuple[float, ...], str]:
        """(file, style_weights, region), all empty without an image. Raises ValueError."""
        path, place = values[self.image], values[self.place]
        if not path:
            return None, (), ""
        region = check_region((values[self.brushed] or "") if place == BRUSH else place)
        if place == BRUSH and not region:
            raise ValueError("brush on the image where the second style goes")
        share = min(1.0, max(0.0, float(values[self.share])))
        return path, () if region else (round(1 - share, 3), round(share, 3)), region

    def show(self, path: str | None, weights: tuple[float, ...], region: str) -> Update:
        """The value of every component."""
        share = weights[1] / sum(weights) if len(weights) == 2 and sum(weights) > 0 else 0.5
        brushed = region not in ("", *HALVES)
        return {
            self.image: path,
            self.share: round(share, 3),
            self.place: BRUSH if brushed else region,
            self.brushed: gr.update(value=region if brushed else "", visible=brushed),
        }


class Inputs:
    """All components that a result depends on. It lays them out in the current Blocks."""

    def __init__(self) -> None:
        with gr.Row():
            self.content = build("contents", "Content", "contents", first("contents"))
            self.style = build("styles", "Style", "styles", first("styles"))
        self.controls = Controls()
        self.second = SecondStyle()
        self.images = [self.content, self.style, self.second.image]
        self.all = {*self.images, self.controls.detail, *self.second.inputs, *self.controls.inputs}

    def job(self, values: dict[Any, Any]) -> Job:
        """What the user asks for. Raises ValueError that a user can read."""
        content, style = values[self.content], values[self.style]
        if problem := messages.missing(content, style):
            raise ValueError(problem)
        second, weights, region = self.second.read(values)
        settings = self.controls.settings(values).replace(style_weights=weights)
        return Job(settings, content, style, second=second, where=region)
