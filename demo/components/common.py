"""What many components use: options of events, a slider, images as URLs, the count of changes."""

import base64
import io
from typing import Any

import gradio as gr
from PIL import Image

HEAVY: dict[str, Any] = {"concurrency_id": "heavy", "concurrency_limit": 1}  # one run at a time, of any tab
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
QUIET: dict[str, Any] = PRIVATE | {"queue": False, "show_progress": "hidden"}
ASK = "(count) => window.nst.ask(count)"
Update = dict[Any, Any]  # component → its new value, or gr.update


def slider(
    label: str, low: float, high: float, value: float, step: float, id: str, **options: Any
) -> gr.Slider:
    """A slider without a reset button. If its number field holds a value out of range, the nearest value in
    the range is used."""
    options = {"min_width": 150, "buttons": []} | options
    made = gr.Slider(low, high, value=value, step=step, label=label, elem_id=id, **options)
    made.preprocess = lambda payload: min(max(low, float(payload)), high)  # type: ignore[method-assign]
    return made


def data_url(image: Image.Image, quality: int) -> str:
    """An image as WebP in a URL."""
    buffer = io.BytesIO()
    image.save(buffer, "webp", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


class Asks:
    """Counts the changes of the user, but not those of the app, such as restored settings.

    A count that ends in .5 means that the pointer still holds a slider. `ask` in page.js computes the count.
    """

    def __init__(self) -> None:
        self.count = gr.Number(0, visible="hidden", elem_id="asks")

    def after(self, *events: Any) -> None:
        """Counts these events of components. An event may also be the `then` or `success` of an event."""
        for event in events:
            event(None, self.count, self.count, js=ASK, trigger_mode="multiple", **PRIVATE)

    def next(self, count: float) -> float:
        """The count after a change that the server makes for a user."""
        return int(count) + 1.0
