"""Everything that a user chooses: the input images with their examples, a second style, and the settings."""

from pathlib import Path
from typing import Any

import gradio as gr

from demo.components import messages
from demo.components.common import QUIET, Asks, Update, slider
from demo.components.controls import Controls
from demo.components.picker import named, picker
from demo.runs.engine import Job
from demo.runs.files import input_info, keep_image, load_input
from demo.runs.limits import LIMITS
from demo.runs.masks import HALVES, check_region
from demo.runs.recipes import EXAMPLES

SMALL = 64  # px: a smaller image shows little
SHOWN = 2048  # px: the largest copy in a format that browsers can show
BRUSH = "brush"
PLACES = [("Mixed everywhere", ""), *((half.capitalize(), half) for half in HALVES), ("Where I brush", BRUSH)]
CANVAS = (
    '<canvas width="64" height="64" aria-label="The content image, to brush on"></canvas>'
    '<button type="button">Clear brush</button>'
)
BROWSER_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "WEBP")


def check(path: str | None) -> tuple[Any, Any]:
    """Returns (image, status) for an upload. A file that browsers cannot show is converted to PNG. If a
    file is unusable, the present image stays and the status says why."""
    if path is None:
        return gr.skip(), gr.skip()
    try:  # a panorama may be too narrow at a smaller size; the run reports that
        load_input(path, LIMITS.size)
        width, height, kind = input_info(path)
        if kind not in BROWSER_FORMATS:
            # no larger than necessary: a PNG of 2048 px takes seconds to write
            size = min(max(width, height, LIMITS.size), max(SHOWN, LIMITS.size))
            path = keep_image(load_input(path, size), Path(path).stem)
    except Exception as error:
        return gr.skip(), messages.alert(messages.explain(error, path))
    words = f"This image has only {width} × {height} px. It will be enlarged, and show little."
    return path, messages.note(words) if max(width, height) < SMALL else gr.skip()


def own_size(path: str | None) -> Any:
    """The longest side of a photo as a multiple of 32 px, up to the limit of this host."""
    return min(max(input_info(path)[:2]), LIMITS.size) // 32 * 32 if path else gr.skip()


class InputImage:
    """An input image: the image itself, a button to upload a file, and the examples. The constructor lays
    them out in the current Blocks. page.js hands dropped and pasted files to the button.

    folder: the folder of the examples. first: the example that is chosen when the page opens. Without it,
    the image is optional."""

    def __init__(self, id: str, label: str, folder: str, first: str = "") -> None:
        self.files = {} if first else {"none": ""}
        self.files |= {path.stem: str(path) for path in sorted((EXAMPLES / folder).glob("*.jpg"))}
        with gr.Column(min_width=150, elem_classes="nst-input"):
            self.image = gr.Image(
                self.files.get(first),
                type="filepath",
                image_mode=None,
                format="png",
                label=label,
                height=190,
                interactive=False,
                buttons=["fullscreen"],
                elem_id=id,
                alt_text=f"The {label.lower()} image",
            )
            words = f"Upload a {label.lower()} …"
            self.button = gr.UploadButton(words, file_types=["image"], size="sm", elem_id=f"{id}-upload")
            self.examples = picker(f"Examples: {label.lower()}", self.files, id)

    def connect(self, asks: Asks, status: gr.HTML) -> None:
        """Shows the file or the example that the user chooses, and counts the change."""

        def choose(count: float, event: gr.EventData) -> tuple[str | None, float]:
            return named(event, self.files) or None, asks.next(count)

        self.examples.select(choose, asks.count, [self.image, asks.count], **QUIET)
        asks.after(self.button.upload(check, self.button, [self.image, status], **QUIET).success)


class SecondStyle:
    """The components of a second style, laid out in the current Blocks."""

    def __init__(self) -> None:
        with gr.Accordion("A second style", open=False, elem_id="second-style"):
            self.input = InputImage("second", "Second style", "styles")
            self.image = self.input.image
            with gr.Row():
                self.place = gr.Radio(PLACES, value="", label="Where it goes", elem_id="place", min_width=220)
                self.share = slider("How much of it", 0, 1, 0.5, 0.05, "share", min_width=130)
            script = Path(__file__).with_name("brush.js").read_text(encoding="utf-8")
            self.brushed = gr.HTML(
                "", html_template=CANVAS, js_on_load=script, elem_id="brush", visible=False
            )
        self.inputs = {self.image, self.share, self.place, self.brushed}
        parts = [self.brushed, self.share]
        self.place.change(
            lambda place: [gr.update(visible=place == one) for one in (BRUSH, "")], self.place, parts, **QUIET
        )

    def read(self, values: dict[Any, Any]) -> tuple[str | None, tuple[float, ...], str]:
        """Returns (file, style_weights, region), all empty without an image. Raises ValueError."""
        path, place = values[self.image], values[self.place]
        if not path:
            return None, (), ""
        region = check_region((values[self.brushed] or "") if place == BRUSH else place)
        if place == BRUSH and not region:
            raise ValueError("brush on the image where the second style goes")
        share = round(values[self.share], 3)
        return path, () if region else (round(1 - share, 3), share), region

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
    """All components that a result depends on, laid out in the current Blocks."""

    def __init__(self) -> None:
        self.note = gr.HTML(visible=False, elem_id="note")  # about the link that opened the page
        with gr.Row(elem_classes="nst-images"):
            pair = [
                InputImage("contents", "Photo", "contents", "harbour"),
                InputImage("styles", "Style", "styles", "strokes"),
            ]
        self.content, self.style = (one.image for one in pair)
        self.controls = Controls()
        self.large = gr.Button("Large print", size="sm", visible=not LIMITS.public, elem_id="large-print")
        self.controls.add_options()
        self.second = SecondStyle()
        self.asks, self._pickers = Asks(), [*pair, self.second.input]
        self.images = [self.content, self.style, self.second.image]
        self.all = {*self.images, *self.second.inputs, *self.controls.inputs}

    def connect(self, status: gr.HTML) -> None:
        """Counts every change of the user. Problems of uploads appear in the status line."""
        for one in self._pickers:
            one.connect(self.asks, status)
        self.controls.connect(self.asks)
        size = self.controls.by_name["size"]
        self.asks.after(self.large.click(own_size, self.content, size, **QUIET).success)
        second = self.second
        self.asks.after(second.place.input, second.share.input, second.share.release, second.brushed.input)

    def job(self, values: dict[Any, Any]) -> Job:
        """The job that the user asks for. Raises a ValueError with a message for the user."""
        content, style = values[self.content], values[self.style]
        if problem := messages.missing(content, style):
            raise ValueError(problem)
        second, weights, region = self.second.read(values)
        settings = self.controls.settings(values).replace(style_weights=weights)
        return Job(settings, content, style, second=second, where=region)
