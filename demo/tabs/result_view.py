"""Where a result is shown, and what a user does with it: compare, download, keep, make it again."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

import nstlib
from demo.components import reproduce
from demo.components.common import PRIVATE, QUIET, Update, slider
from demo.guard.blocks import keep
from demo.runs import files
from demo.runs.masks import masks
from demo.runs.results import Result
from demo.runs.stop_flags import STOP_FLAGS

KEPT = 12  # results of a session
GONE = "This page was open for too long: its image is not here any more. Change a setting to make it again."
CLICK = "() => document.querySelector('#png')?.click()"


def caption(words: str) -> str:
    return f'<p class="nst-caption">{escape(words)}</p>'


class ResultView:
    """The components around one result, laid out in the current tab in three steps: the image, the tools
    below it and the snippets. first: what every page opens with, without any run.

    `shown` holds the result on the page, or None for a session that this process does not know. `history`
    holds the kept results, the newest first, as (file, caption), `pinned` the file on the left of "Side by
    side", and `compared` whether that tab was opened.
    """

    def __init__(self, first: Result) -> None:
        self.first = first
        self.shown, self.history = gr.State(), gr.State(())
        self.pinned, self.compared = gr.State(), gr.State(False)
        words = reproduce.caption(first.recipe)
        look: dict[str, Any] = {"show_label": False, "interactive": False, "height": 440, "format": "webp"}
        look |= {"buttons": ["fullscreen"]}
        with gr.Tabs():
            with gr.Tab("Image"):
                pixels = Image.fromarray(first.pixels)
                options: dict[str, Any] = look | {"image_mode": None, "type": "filepath", "alt_text": words}
                self.image = gr.Image(pixels, label="Result", elem_id="result", **options)
            with gr.Tab("Side by side") as self.side_by_side:
                label = "The content image or the pinned result, beside the result"
                self.slider = gr.ImageSlider(label=label, max_height=440, elem_id="slider", **look)
        self.caption = gr.HTML(caption(words), elem_id="caption")

    def add_tools(self, content: gr.Image) -> None:
        self.strength = slider("Strength: content image ⟵ ⟶ result", 0, 1, 1, 0.02, "strength")
        with gr.Row(elem_classes="nst-tools"):
            download = gr.Button("Download PNG", elem_id="download", size="md", min_width=110)
            self.png = gr.DownloadButton(visible="hidden", elem_id="png")
            self.animation = gr.DownloadButton(
                "Animation", interactive=False, elem_id="animation", size="md", min_width=90
            )
            keep_it = gr.Button("Keep", elem_id="keep", size="md", min_width=70)
            self.pin = gr.Button("Pin as A", elem_id="pin", size="md", min_width=90)
            again = gr.Button("Use as content", elem_id="again", size="md", min_width=120)
            self.link = gr.Button("Copy link", elem_id="link", size="md", min_width=90)
        self.gallery = gr.Gallery(
            label="History: click to restore settings",
            columns=6,
            fit_columns=False,
            height="auto",
            allow_preview=False,
            interactive=False,
            visible=False,
            buttons=[],
            elem_id="history",
        )
        self.inputs = {self.shown, self.history, self.pinned, self.compared, self.strength}
        quiet: dict[str, Any] = QUIET | {"inputs": self.inputs}
        self.side_by_side.select(self.open_comparison, outputs=[self.compared, self.slider], **quiet)
        download.click(self.save, outputs=self.png, **quiet).then(None, js=CLICK, **PRIVATE)
        keep_it.click(self.keep, outputs=[self.history, self.gallery], **quiet)
        self.pin.click(
            self.pin_result, outputs=[self.history, self.gallery, self.pinned, self.slider, self.pin], **quiet
        )
        # in the browser alone: the server is not asked, and trusts no path
        again.click(None, self.image, content, js="(image) => image", **PRIVATE)

    def add_snippets(self) -> None:
        with gr.Accordion("Make this image again", open=False) as accordion:
            gr.Markdown("The PNG also carries its recipe: `nstlib.read_recipe(file)` reads it.")
            recipe, fixed = self.first.recipe, {"interactive": False}
            python: dict[str, Any] = fixed | {"language": "python", "lines": 8, "elem_id": "python"}
            self.python = gr.Code(reproduce.python(recipe), label="Python", **python)
            command: dict[str, Any] = fixed | {"buttons": ["copy"], "lines": 2, "elem_id": "command"}
            self.command = gr.Textbox(reproduce.command(recipe), label="Command line", **command)
            self.masks = gr.File(label="The masks", visible=False, elem_id="masks", **fixed)
        accordion.expand(self.save_masks, self.inputs, self.masks, **QUIET)
        self.outputs = [self.shown, self.image, self.slider, self.caption]
        self.outputs += [self.python, self.command, self.masks]
        blend: dict[str, Any] = QUIET | {"trigger_mode": "always_last"}
        self.strength.change(self.blend, self.inputs, self.outputs, **blend)

    def result(self, values: dict[Any, Any]) -> Result:
        """The result on the page. Raises gr.Error where this process no longer knows it."""
        result: Result | None = values[self.shown]
        if result is None:
            raise gr.Error(GONE, print_exception=False)
        return result

    def show(self, result: Result, values: dict[Any, Any]) -> Update:
        """The result at the chosen strength, with everything that describes it."""
        blend = values[self.strength]
        recipe = result.at(blend).recipe
        words, pixels = reproduce.caption(recipe), Image.fromarray(result.blended(blend))
        update: Update = {
            self.shown: result,
            self.image: gr.update(value=pixels, alt_text=words),
            self.caption: caption(words),
            self.python: reproduce.python(recipe),
            self.command: reproduce.command(recipe),
            self.masks: gr.update(visible=bool(recipe.where)),
        }
        if values[self.compared]:
            update[self.slider] = self.sides(result, values)
        return update

    def sides(self, result: Result | None, values: dict[Any, Any]) -> Any:
        """(left, right): the pinned result or else the content image; and the result."""
        if result is None:
            return None
        right = Image.fromarray(result.blended(values[self.strength]))
        left = values[self.pinned] or result.content
        return (files.load_resized(left, *right.size) if left and Path(left).is_file() else right), right

    def keep_result(self, result: Result, values: dict[Any, Any]) -> Update:
        """Puts the result, as it is seen, before the others of the history."""
        blend = values[self.strength]
        recipe = result.at(blend).recipe
        with files.outbox() as folder:
            path = keep(result.save(folder / reproduce.result_name(recipe), blend))
        others = [one for one in values[self.history] if one[0] != path]
        history = ((path, reproduce.caption(recipe)), *others)[:KEPT]
        return {self.history: history, self.gallery: gr.update(value=list(history), visible=True)}

    def keep(self, values: dict[Any, Any]) -> Update:
        return self.keep_result(self.result(values), values)

    def pin_result(self, values: dict[Any, Any]) -> Update:
        """Keeps the result and puts it on the left of "Side by side"; pressed again, takes it away."""
        result, path, update = self.result(values), None, {}
        if not values[self.pinned]:
            update = self.keep_result(result, values)
            path = update[self.history][0][0]
        update[self.slider] = self.sides(result, values | {self.pinned: path})
        return {**update, self.pinned: path, self.pin: gr.update(value="Unpin A" if path else "Pin as A")}

    def blend(self, values: dict[Any, Any], request: gr.Request) -> Update:
        """After the strength was moved: the same result, blended again. Nothing runs."""
        result: Result | None = values[self.shown]
        if result is None or STOP_FLAGS.is_running(request.session_hash, "stylize"):
            return {self.caption: gr.skip()}
        return self.show(result, values)

    def open_comparison(self, values: dict[Any, Any]) -> Update:
        """ "Side by side" was opened: from now on it is kept up to date."""
        return {self.compared: True, self.slider: self.sides(values[self.shown], values)}

    def save(self, values: dict[Any, Any]) -> Iterator[Update]:
        """The result, as it is seen, as a download. Our file is removed when Gradio has its copy."""
        result = self.result(values)
        with files.outbox() as folder:
            name = folder / reproduce.result_name(result.recipe)
            yield {self.png: result.save(name, values[self.strength])}

    def save_masks(self, values: dict[Any, Any]) -> Iterator[Update]:
        """The masks that the snippets name."""
        result: Result | None = values[self.shown]
        if result is not None and result.recipe.where:
            with files.outbox() as folder:
                for name, mask in zip(reproduce.MASKS, masks(result.recipe.where), strict=True):
                    nstlib.save_image(mask.expand(3, -1, -1), folder / name)
                yield {self.masks: [str(folder / name) for name in reproduce.MASKS]}
