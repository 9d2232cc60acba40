"""The input images: upload, paste or webcam, examples that load at once, and a check of every upload."""

from pathlib import Path
from typing import Any

import gradio as gr

import nstlib
from demo.components import messages
from demo.runs.files import input_info, load_input
from demo.runs.limits import LIMITS
from demo.runs.recipes import EXAMPLES

SMALL = 64  # px: a smaller image shows little
SHOWN = 2048  # px: of an image that is converted to be shown
BROWSER_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "WEBP")


def examples(folder: str) -> list[str]:
    """The paths of the example images in a folder ("contents", "styles"), sorted by name."""
    return sorted(str(path) for path in (EXAMPLES / folder).glob("*.jpg"))


def example(folder: str, stem: str) -> str | None:
    return next((path for path in examples(folder) if Path(path).stem == stem), None)


def image(label: str, **options: Any) -> gr.Image:
    """An input image as the untouched file. nstlib does rotation and transparency, and has better words than
    Gradio for a file that cannot be read."""
    return gr.Image(
        type="filepath",
        image_mode=None,
        format="png",
        sources=["upload", "clipboard", "webcam"],
        label=label,
        buttons=["fullscreen"],
        **options,
    )


def check(path: str | None) -> tuple[Any, Any]:
    """After an upload: (image, status). Keeps a readable image, as a PNG if browsers cannot show it.
    Otherwise removes it and says why."""
    if path is None:
        return gr.skip(), gr.skip()
    try:  # a panorama may be too narrow at one size and not at another: the run says so
        load_input(path, LIMITS.size)
        width, height, kind = input_info(path)
        if kind not in BROWSER_FORMATS:
            return nstlib.to_pil(load_input(path, max(SHOWN, LIMITS.size))), gr.skip()
    except Exception as error:
        return None, messages.alert(messages.explain(error, path))
    if max(width, height) < SMALL:
        words = f"This image has only {width} × {height} px. It will be enlarged, and show little."
        return gr.skip(), messages.note(words)
    return gr.skip(), gr.skip()


def build(id: str, label: str, first: str, alt: str, folder: str = "") -> gr.Image:
    """An input image with the examples of a folder (default: `id`), in the current Blocks."""
    folder = folder or id
    with gr.Column(min_width=150):
        component = image(label, value=example(folder, first), height=210, elem_id=id, alt_text=alt)
        gr.Examples(
            [[path] for path in examples(folder)],
            component,
            label=f"Examples: {label.lower()}",
            examples_per_page=12,
            cache_examples=False,
            api_visibility="private",
            elem_id=f"{id}-examples",
        )
    return component
