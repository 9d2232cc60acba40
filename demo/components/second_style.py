"""A second style: its image, how much of it, and where: mixed in, on one side, or where the user brushes."""

from pathlib import Path
from typing import Any

import gradio as gr

from demo.components import inputs
from demo.components.common import QUIET, Update, slider
from demo.runs.masks import HALVES, check_region

BRUSH = "brush"
PLACES = [("Mixed everywhere", ""), *((half.capitalize(), half) for half in HALVES), ("Where I brush", BRUSH)]
CANVAS = (
    '<canvas width="64" height="64" aria-label="The content image, to brush on"></canvas>'
    '<button type="button">Clear brush</button>'
)


class SecondStyle:
    """The components. It lays them out in the current Blocks."""

    def __init__(self) -> None:
        with gr.Accordion("A second style", open=False, elem_id="second-style"):
            self.image = inputs.build("second", "Second style", "", "The second style image", folder="styles")
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
        region = check_region(values[self.brushed] or "") if place == BRUSH else check_region(place)
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
