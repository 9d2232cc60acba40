"""Shows a result, with the tools to compare, download and share it, and the code that makes it again."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

import nstlib
from demo.components import reproduce
from demo.components.common import PRIVATE, QUIET, Asks, Update, slider
from demo.guard.blocks import keep
from demo.runs import files
from demo.runs.masks import masks
from demo.runs.results import Result
from demo.runs.stop_flags import STOP_FLAGS

SMALL: dict[str, Any] = {"size": "md", "min_width": 100}  # a button
KEPT = 12  # results of a session
GONE = "This page was open for too long: its image is not here any more. Change a setting to make it again."
CLICK = "() => document.querySelector('#png')?.click()"


def caption(words: str) -> str:
    return f'<p class="nst-caption">{escape(words)}</p>'


class ResultView:
    """The components around one result, laid out in three steps: the image, the tools below it, and what few
    users need. first: the result that every page opens with, before any run.

    `shown` holds the result on the page, or None for a session that this process does not know. `history`
    holds the kept results as (file, caption), the newest first. `compared` says whether the page shows the
    content image beside the result.
    """

    def __init__(self, first: Result) -> None:
        self.first = first
        self.shown, self.history, self.compared = gr.State(), gr.State(()), gr.State(False)
        words = reproduce.caption(first.recipe)
        look: dict[str, Any] = {"show_label": False, "interactive": False, "buttons": ["fullscreen"]}
        options: dict[str, Any] = {"image_mode": None, "type": "filepath", "format": "webp"}
        pixels, label = Image.fromarray(first.pixels), "Result"
        self.image = gr.Image(pixels, label=label, elem_id="result", alt_text=words, **options, **look)
        label, look = "The content image, and over it the result", look | {"format": "webp", "visible": False}
        self.slider = gr.ImageSlider(label=label, elem_id="slider", **look)
        self.caption = gr.HTML(caption(words), elem_id="caption")

    def add_tools(self) -> None:
        """Lays out what most users need."""
        with gr.Row(elem_classes="nst-tools"):
            self.download = gr.Button("Download PNG", elem_id="download", **SMALL)
            self.png = gr.DownloadButton(visible="hidden", elem_id="png")
            self.compare = gr.Button("Before / after", elem_id="before", **SMALL)
            self.link = gr.Button("Copy link", elem_id="link", **SMALL)

    def add_more(self) -> None:
        """Lays out what few users need."""
        self.gallery = gr.Gallery(
            label="Your results: click one to go back to it",
            columns=6,
            fit_columns=False,
            height="auto",
            allow_preview=False,
            interactive=False,
            visible=False,
            buttons=[],
            elem_id="history",
        )
        with gr.Row(elem_classes="nst-tools"):
            self.drop = gr.UploadButton("Open a saved PNG", file_types=[".png"], elem_id="drop", **SMALL)
            self.again = gr.Button("Use as photo", elem_id="again", **SMALL)
            self.animation = gr.DownloadButton("Animation", interactive=False, elem_id="animation", **SMALL)
        with gr.Accordion("Weaken, or make this image again", open=False, elem_id="again-code") as self.code:
            self.strength = slider("Strength: photo ⟵ ⟶ result", 0, 1, 1, 0.02, "strength")
            recipe, fixed = self.first.recipe, {"interactive": False}
            python: dict[str, Any] = fixed | {"language": "python", "lines": 8, "elem_id": "python"}
            self.python = gr.Code(reproduce.python(recipe), label="Python", **python)
            command: dict[str, Any] = fixed | {"buttons": ["copy"], "lines": 2, "elem_id": "command"}
            self.command = gr.Textbox(reproduce.command(recipe), label="Command line", **command)
            self.masks = gr.File(label="The masks", visible=False, elem_id="masks", **fixed)
        self.inputs = {self.shown, self.history, self.compared, self.strength}
        self.outputs = [self.shown, self.image, self.slider, self.caption]
        self.outputs += [self.python, self.command, self.masks]

    def connect(self, content: gr.Image, asks: Asks) -> None:
        """Connects the tools. content: the input image that "Use as photo" sets."""
        quiet: dict[str, Any] = QUIET | {"inputs": self.inputs}
        outputs = [self.compared, self.slider, self.image, self.compare]
        self.compare.click(self.open_comparison, outputs=outputs, **quiet)
        self.download.click(self.save, outputs=self.png, **quiet).then(None, js=CLICK, **PRIVATE)
        self.code.expand(self.save_masks, outputs=self.masks, **quiet)
        self.strength.input(self.blend, outputs=self.outputs, trigger_mode="always_last", **quiet)

        def use_as_content(values: dict[Any, Any]) -> Update:
            """Makes the result the content image. The name of its file says what made it."""
            path, _ = self.save_result(self.result(values), values)
            return {content: path, asks.count: asks.next(values[asks.count])}

        self.again.click(use_as_content, {asks.count, *self.inputs}, [content, asks.count], **QUIET)

    def result(self, values: dict[Any, Any]) -> Result:
        """The result on the page. Raises gr.Error if this process no longer knows it."""
        result: Result | None = values[self.shown]
        if result is None:
            raise gr.Error(GONE, print_exception=False)
        return result

    def show(self, result: Result, values: dict[Any, Any]) -> Update:
        """Shows the result at the chosen strength, with its caption, code and command."""
        recipe = result.at(values[self.strength]).recipe
        update: Update = {
            self.shown: result,
            self.python: reproduce.python(recipe),
            self.command: reproduce.command(recipe),
            self.masks: gr.update(visible=bool(recipe.where)),
            **self.draw(result, values),
        }
        if values[self.compared]:
            update[self.slider] = self.sides(result, values)
        return update

    def draw(self, result: Result, values: dict[Any, Any]) -> Update:
        """Shows only the image and its caption."""
        blend = values[self.strength]
        words, pixels = reproduce.caption(result.at(blend).recipe), Image.fromarray(result.blended(blend))
        return {self.image: gr.update(value=pixels, alt_text=words), self.caption: caption(words)}

    def sides(self, result: Result | None, values: dict[Any, Any]) -> Any:
        """Returns (content image, result). Without the content's file, both are the result."""
        if result is None:
            return None
        right = Image.fromarray(result.blended(values[self.strength]))
        left = result.content
        return (files.load_resized(left, *right.size) if left and Path(left).is_file() else right), right

    def save_result(self, result: Result, values: dict[Any, Any]) -> tuple[str, str]:
        """Saves the result at the chosen strength, where Gradio serves it. Returns (file, caption)."""
        blend = values[self.strength]
        recipe = result.at(blend).recipe
        with files.outbox() as folder:
            path = keep(result.save(folder / reproduce.result_name(recipe), blend))
        return path, reproduce.caption(recipe)

    def keep_result(self, result: Result, values: dict[Any, Any]) -> Update:
        """Adds the result to the history as the newest one."""
        kept = self.save_result(result, values)
        history = (kept, *(one for one in values[self.history] if one[0] != kept[0]))[:KEPT]
        return {self.history: history, self.gallery: gr.update(value=list(history), visible=True)}

    def blend(self, values: dict[Any, Any], request: gr.Request) -> Update:
        """Blends the shown result again after the strength was moved. This starts no run."""
        result: Result | None = values[self.shown]
        if result is None or STOP_FLAGS.find(request.session_hash, "stylize"):
            return {self.caption: gr.skip()}
        return self.show(result, values)

    def open_comparison(self, values: dict[Any, Any]) -> list[Any]:
        """Shows the content image and the result in one frame, or the result alone again."""
        on = not values[self.compared]
        both = self.sides(values[self.shown], values | {self.strength: 1}) if on else None
        words = "Result only" if on else "Before / after"
        return [on, gr.update(value=both, visible=on), gr.update(visible=not on), words]

    def save(self, values: dict[Any, Any]) -> Iterator[Update]:
        """Offers the result at the chosen strength as a download. Gradio serves a copy of the file."""
        result = self.result(values)
        with files.outbox() as folder:
            name = folder / reproduce.result_name(result.recipe)
            yield {self.png: result.save(name, values[self.strength])}

    def save_masks(self, values: dict[Any, Any]) -> Iterator[Update]:
        """Offers the masks as files, under the names that the Python code and the command use."""
        result: Result | None = values[self.shown]
        if result is not None and result.recipe.where:
            with files.outbox() as folder:
                for name, mask in zip(reproduce.MASKS, masks(result.recipe.where), strict=True):
                    nstlib.save_image(mask.expand(3, -1, -1), folder / name)
                yield {self.masks: [str(folder / name) for name in reproduce.MASKS]}
