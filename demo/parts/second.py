"""A second style: its picture, how much of it, and where: mixed in, on one side, or where one brushes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from demo.parts import pictures
from demo.runs.masks import HALVES, check

BRUSH = "brush"
PLACES = [("Mixed everywhere", ""), *((half.capitalize(), half) for half in HALVES), ("Where I brush", BRUSH)]
CANVAS = (
    '<canvas width="64" height="64" aria-label="The content picture, to brush on"></canvas>'
    '<button type="button">Brush again</button>'
)


@dataclass(frozen=True)
class Second:
    """The components."""

    picture: gr.Image
    share: gr.Slider
    place: gr.Radio
    brushed: gr.HTML

    @property
    def inputs(self) -> set[gr.components.Component]:
        return {self.picture, self.share, self.place, self.brushed}

    def read(self, values: dict[Any, Any]) -> tuple[str | None, tuple[float, ...], str]:
        """(file, style_weights, where); nothing without a picture. Raises ValueError."""
        path = values[self.picture]
        if not path:
            return None, (), ""
        where = (
            check(values[self.brushed] or "") if values[self.place] == BRUSH else check(values[self.place])
        )
        if values[self.place] == BRUSH and not where:
            raise ValueError("brush on the picture where the second style goes")
        share = min(1.0, max(0.0, float(values[self.share])))
        return path, () if where else (round(1 - share, 3), round(share, 3)), where

    def show(self, path: str | None, weights: tuple[float, ...], where: str) -> dict[Any, Any]:
        """The inverse: a value for every component."""
        share = weights[1] / sum(weights) if len(weights) == 2 and sum(weights) > 0 else 0.5
        brushed = where not in ("", *HALVES)
        return {
            self.picture: path,
            self.share: round(share, 3),
            self.place: BRUSH if brushed else where,
            self.brushed: gr.update(value=where if brushed else "", visible=brushed),
        }


def build() -> Second:
    """Lays the components out, in the current Blocks."""
    with gr.Accordion("A second style", open=False, elem_id="second-style"):
        picture = pictures.build("second", "Second style", "", "The second style picture", folder="styles")
        with gr.Row(elem_classes="nst-tight"):
            place = gr.Radio(PLACES, value="", label="Where it goes", elem_id="place", min_width=220)
            share = gr.Slider(
                0, 1, value=0.5, step=0.05, label="How much of it", elem_id="share", min_width=130, buttons=[]
            )
        brushed = gr.HTML(
            "",
            html_template=CANVAS,
            js_on_load=Path(__file__).with_name("brush.js").read_text(encoding="utf-8"),
            elem_id="brush",
            visible=False,
        )
    place.change(
        lambda where: [gr.update(visible=where == BRUSH), gr.update(visible=where == "")],
        place,
        [brushed, share],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    return Second(picture, share, place, brushed)
