"""What a visitor does with a result: strength, downloads, keep, pin, use again, and what makes it again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

import nstlib
from demo.parts import reproduce
from demo.rooms.canvas import Canvas, share
from demo.rooms.room import QUIET, Update
from demo.runs import files
from demo.runs.masks import masks
from demo.runs.results import Result

GONE = (
    "This page was open for too long, and its image is not here any more. Change a setting to make it again."
)
CLICK = "() => document.querySelector('#png')?.click()"


@dataclass(frozen=True)
class Tools:
    """png: the hidden button that a click on Download presses when its file is there."""

    canvas: Canvas
    png: gr.DownloadButton
    pin: gr.Button
    link: gr.Button

    def result(self, values: dict[Any, Any]) -> Result:
        """The result on the page. Raises gr.Error where this process does not know it any more."""
        result: Result | None = values[self.canvas.shown]
        if result is None:
            raise gr.Error(GONE, print_exception=False)
        return result

    def keep(self, values: dict[Any, Any]) -> Update:
        return self.canvas.kept(self.result(values), values)

    def pinned(self, values: dict[Any, Any]) -> Update:
        """Keeps the result and puts it on the left of "Side by side"; pressed again, lets it go."""
        canvas, update, path = self.canvas, {}, None
        result = self.result(values)
        if not values[canvas.pinned]:
            update = canvas.kept(result, values)
            path = update[canvas.visit][0][0]
        return {
            **update,
            canvas.pinned: path,
            canvas.slider: canvas.sides(result, values | {canvas.pinned: path}),
            self.pin: gr.update(value="Unpin A" if path else "Pin as A"),
        }

    def save(self, values: dict[Any, Any]) -> Iterator[Update]:
        """The result, as seen, to take home; our own file goes when Gradio has its copy."""
        result = self.result(values)
        with files.outbox() as folder:
            name = folder / reproduce.named(result.recipe)
            yield {self.png: result.save(name, share(values[self.canvas.strength]))}

    def save_masks(self, values: dict[Any, Any]) -> Iterator[Update]:
        """The masks that the snippets name."""
        result: Result | None = values[self.canvas.shown]
        if result is not None and result.recipe.where:
            with files.outbox() as folder:
                for name, mask in zip(reproduce.MASKS, masks(result.recipe.where), strict=True):
                    nstlib.save_image(mask.expand(3, -1, -1), folder / name)
                yield {self.canvas.masks: [str(folder / name) for name in reproduce.MASKS]}


def build(canvas: Canvas, content: gr.Image) -> Tools:
    """Lays them out, in the current tab, and connects them."""
    canvas.strength.render()
    with gr.Row(elem_classes="nst-tools"):
        download = gr.Button("Download PNG", elem_id="download", size="md", min_width=110)
        png = gr.DownloadButton(visible="hidden", elem_id="png")
        canvas.film.render()
        keep = gr.Button("Keep", elem_id="keep", size="md", min_width=70)
        pin = gr.Button("Pin as A", elem_id="pin", size="md", min_width=90)
        again = gr.Button("Use as content", elem_id="again", size="md", min_width=120)
        link = gr.Button("Copy link", elem_id="link", size="md", min_width=90)
    canvas.strip.render()
    tools = Tools(canvas, png, pin, link)
    quiet: dict[str, Any] = QUIET | {"inputs": canvas.inputs}
    canvas.strength.change(canvas.blend, outputs=canvas.outputs, trigger_mode="always_last", **quiet)
    saved = download.click(tools.save, outputs=[png], **quiet)
    saved.then(None, js=CLICK, api_visibility="private")
    keep.click(tools.keep, outputs=canvas.keeping, **quiet)
    pin.click(tools.pinned, outputs=[*canvas.keeping, canvas.pinned, canvas.slider, pin], **quiet)
    # in the browser alone: the server is not asked, and believes no path
    again.click(None, canvas.picture, content, js="(picture) => picture", api_visibility="private")
    return tools


def box(tools: Tools) -> None:
    """Lays out what makes the picture again."""
    canvas = tools.canvas
    with gr.Accordion("Make this picture again", open=False) as accordion:
        gr.Markdown("The PNG also carries its recipe: `nstlib.read_recipe(file)` reads it.")
        for part in (canvas.python, canvas.command, canvas.masks):
            part.render()
    accordion.expand(tools.save_masks, canvas.inputs, [canvas.masks], **QUIET)
