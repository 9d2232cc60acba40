"""Where a result is shown: its picture and caption, beside another, and the strip of this visit's results."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from demo.guard.blocks import keep
from demo.parts import reproduce
from demo.rooms.room import QUIET, Update
from demo.runs import files
from demo.runs.desk import DESK
from demo.runs.results import Result

KEPT = 12  # results of a visit


def caption(words: str) -> str:
    return f'<p class="nst-caption">{escape(words)}</p>'


@dataclass(frozen=True)
class Canvas:
    """first: the Result that every page opens with. shown: the one on the page; None for a session that this
    process does not know, so that no such page gets the wrong image. visit: the kept ones, newest first, as
    (file, caption). pinned: the file of the one on the left. both: whether "Side by side" was opened."""

    first: Result
    shown: gr.State
    visit: gr.State
    pinned: gr.State
    both: gr.State
    picture: gr.Image
    slider: gr.ImageSlider
    caption: gr.HTML
    strength: gr.Slider
    python: gr.Code
    command: gr.Textbox
    masks: gr.File
    film: gr.DownloadButton
    strip: gr.Gallery

    @property
    def inputs(self) -> set[Any]:
        """What an event needs that presents a result."""
        return {self.shown, self.visit, self.pinned, self.both, self.strength}

    @property
    def outputs(self) -> list[Any]:
        """What `present` may change."""
        return [
            self.shown, self.picture, self.slider, self.caption, self.python, self.command, self.masks,
        ]  # fmt: skip

    @property
    def keeping(self) -> list[Any]:
        """What `kept` may change."""
        return [self.visit, self.strip]

    def present(self, result: Result, values: dict[Any, Any]) -> Update:
        """The result at the strength chosen, with all that says what it is."""
        blend = share(values[self.strength])
        recipe, pixels = result.at(blend).recipe, result.seen(blend)
        update: Update = {
            self.shown: result,
            self.picture: gr.update(value=Image.fromarray(pixels), alt_text=reproduce.caption(recipe)),
            self.caption: caption(reproduce.caption(recipe)),
            self.python: reproduce.python(recipe),
            self.command: reproduce.command(recipe),
            self.masks: gr.update(visible=bool(recipe.where)),
        }
        if values[self.both]:
            update[self.slider] = self.sides(result, values)
        return update

    def sides(self, result: Result | None, values: dict[Any, Any]) -> Any:
        """(left, right): the pinned result, else the photograph; and the result."""
        if result is None:
            return None
        pixels = result.seen(share(values[self.strength]))
        left = values[self.pinned] or result.content
        if not (left and Path(left).is_file()):
            return Image.fromarray(pixels), Image.fromarray(pixels)
        return files.as_large_as(left, pixels.shape[1], pixels.shape[0]), Image.fromarray(pixels)

    def kept(self, result: Result, values: dict[Any, Any]) -> Update:
        """The result, as seen, before the others of this visit."""
        blend = share(values[self.strength])
        recipe = result.at(blend).recipe
        with files.outbox() as folder:
            made = result.save(folder / reproduce.named(recipe), blend)
            path = keep(made)
        visit = ((path, reproduce.caption(recipe)), *(one for one in values[self.visit] if one[0] != path))
        return {self.visit: visit[:KEPT], self.strip: gr.update(value=list(visit[:KEPT]), visible=True)}

    def blend(self, values: dict[Any, Any], request: gr.Request) -> Update:
        """After the strength was moved: the same result, laid over the photograph. No run, no pass."""
        result: Result | None = values[self.shown]
        if result is None or DESK.running(request.session_hash, "stylize"):
            return {self.caption: gr.skip()}
        return self.present(result, values)

    def open(self, values: dict[Any, Any]) -> Update:
        """ "Side by side" was opened: from now on it follows, too."""
        return {self.both: True, self.slider: self.sides(values[self.shown], values)}


def build(first: Result) -> Canvas:
    """Lays the picture and its caption out, in the current tab; tools.py renders the rest. first: what a
    visitor finds there: it is part of the page, and nothing has to run."""
    words = reproduce.caption(first.recipe)
    look: dict[str, Any] = {
        "show_label": False,
        "interactive": False,
        "height": 440,
        "buttons": ["fullscreen"],
    }
    with gr.Tabs(elem_classes="nst-views"):
        with gr.Tab("Picture"):
            picture = gr.Image(
                Image.fromarray(first.pixels),
                label="Result",
                image_mode=None,
                type="filepath",
                format="webp",
                elem_id="result",
                alt_text=words,
                **look,
            )
        with gr.Tab("Side by side") as two:
            slider = gr.ImageSlider(
                label="The photograph, or what is pinned, beside the result",
                format="webp",
                max_height=440,
                elem_id="slider",
                **look,
            )
    canvas = Canvas(
        first=first,
        shown=gr.State(),
        visit=gr.State(()),
        pinned=gr.State(),
        both=gr.State(False),
        picture=picture,
        slider=slider,
        caption=gr.HTML(caption(words), elem_id="caption"),
        strength=gr.Slider(
            0,
            1,
            value=1,
            step=0.02,
            label="Strength: photograph ⟵ ⟶ result",
            elem_id="strength",
            buttons=[],
            render=False,
        ),
        python=gr.Code(
            reproduce.python(first.recipe),
            language="python",
            label="Python",
            interactive=False,
            lines=8,
            elem_id="python",
            render=False,
        ),
        command=gr.Textbox(
            reproduce.command(first.recipe),
            label="Command line",
            interactive=False,
            lines=2,
            buttons=["copy"],
            elem_id="command",
            render=False,
        ),
        masks=gr.File(label="The masks", visible=False, interactive=False, elem_id="masks", render=False),
        film=gr.DownloadButton(
            "Animation", interactive=False, elem_id="film", size="md", min_width=90, render=False
        ),
        strip=gr.Gallery(
            label="This visit: click one to have its settings back",
            columns=6,
            fit_columns=False,
            height="auto",
            allow_preview=False,
            interactive=False,
            visible=False,
            buttons=[],
            elem_id="strip",
            render=False,
        ),
    )
    opened: dict[str, Any] = QUIET | {"inputs": canvas.inputs, "outputs": [canvas.both, slider]}
    two.select(canvas.open, **opened)
    return canvas


def share(value: Any) -> float:
    return min(1.0, max(0.0, float(value)))
