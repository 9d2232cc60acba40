"""What many components share: the options of events, and a slider of the page's look."""

from typing import Any

import gradio as gr

HEAVY: dict[str, Any] = {"concurrency_id": "heavy", "concurrency_limit": 1}  # one run at a time, of any tab
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
QUIET: dict[str, Any] = PRIVATE | {"queue": False, "show_progress": "hidden"}
Update = dict[Any, Any]  # component → its new value, or gr.update


def slider(
    label: str, low: float, high: float, value: float, step: float, id: str, **options: Any
) -> gr.Slider:
    """A slider without a reset button."""
    options = {"min_width": 150, "buttons": []} | options
    return gr.Slider(low, high, value=value, step=step, label=label, elem_id=id, **options)
