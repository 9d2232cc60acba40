"""Room: Live. One pass after every change, without a button; Refine goes on from it by optimisation."""

from collections.abc import Callable
from typing import Any

import gradio as gr
from PIL import Image

import nstlib
from demo.parts import messages
from demo.parts.controls import Controls
from demo.rooms.room import QUIET, Update
from demo.runs.limits import LIMITS
from demo.runs.painter import paint

ROOM = "live"
SIZE = 256  # px: five pictures a second on two cores
Entered = Callable[[Any], Any]
START_STYLIZE = "() => setTimeout(() => document.querySelector('#stylize-start')?.click(), 300)"


def build(content: gr.Image, style: gr.Image, controls: Controls, here: gr.State, tabs: gr.Tabs) -> Entered:
    """Lays the room out, in the current tab. here: the name of the tab that is open; what nobody sees is not
    painted. Returns what connects an event with the first picture."""
    status = gr.HTML(
        messages.note("Choose pictures, a method, a strength: the picture follows."),
        elem_id="live-status",
        elem_classes="nst-statusbox",
    )
    picture = gr.Image(
        label="Live",
        show_label=False,
        interactive=False,
        image_mode=None,
        format="webp",
        height=440,
        elem_id="live",
        buttons=["fullscreen"],
        alt_text="The photograph in the chosen style, by one pass",
    )
    with gr.Row(elem_classes="nst-tight"):
        strength = gr.Slider(
            0,
            1,
            value=1,
            step=0.02,
            label="Strength: photograph ⟵ ⟶ style",
            elem_id="strength",
            buttons=[],
        )
        detail = gr.Slider(
            0, 1, value=1, step=0.05, label="Fine detail of the photograph", elem_id="detail", buttons=[]
        )
        refine = gr.Button("Refine", variant="primary", elem_id="refine", min_width=110)
    gr.Markdown(
        "Every notion of style has a map that sends its discrepancy to zero: one pass through encoder, map "
        "and decoder. **Strength** stands where γ stands for an optimisation. *Refine* starts from this "
        "picture and optimises what the decoder could not say."
    )
    method = controls.method
    inputs = {content, style, here, strength, detail, controls.by_name["size"], *method.inputs}

    def follow(values: dict[Any, Any]) -> Update:
        if values[here] != ROOM:
            return {status: gr.skip()}
        files = values[content], values[style]
        if problem := messages.missing(*files):
            return {status: messages.alert(problem)}
        size = min(int(values[controls.by_name["size"]] or SIZE), LIMITS.size)
        try:
            pixels, seconds = paint(
                *files, method.text(values), size, float(values[strength]), float(values[detail])
            )
        except Exception as error:
            return {status: messages.alert(messages.explain(error, *files))}
        height, width = pixels.shape[:2]
        made = f"One pass: {width} × {height} px in {seconds:.2f} s · {method.text(values)}"
        return {status: messages.note(made), picture: Image.fromarray(pixels)}

    options: dict[str, Any] = {
        "fn": follow,
        "inputs": inputs,
        "outputs": [status, picture],
        "show_progress": "hidden",
        "concurrency_id": "live",
        "concurrency_limit": 1,
        "api_visibility": "private",
    }
    changes = [part.change for part in (content, style, controls.by_name["size"], *method.inputs[:-1])]
    # always_last: the newest wish; those in between are forgotten
    gr.on([*changes, strength.input, detail.input], trigger_mode="always_last", **options)
    polish = nstlib.PRESETS["polish"]
    usual = nstlib.Settings()
    parts = {n: p for n, p in controls.by_name.items() if getattr(polish, n) != getattr(usual, n)}

    def polished() -> Update:
        values = {part: gr.update(value=getattr(polish, name)) for name, part in parts.items()}
        return {**values, controls.preset: "polish", tabs: gr.Tabs(selected="stylize")}

    refine.click(polished, None, [*parts.values(), controls.preset, tabs], **QUIET).then(
        None, js=START_STYLIZE, api_visibility="private"
    )
    return lambda event: event.then(**options)
