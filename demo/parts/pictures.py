"""The two pictures: upload, paste or webcam, examples that load at once, and a check of what came in."""

from pathlib import Path
from typing import Any

import gradio as gr

import nstlib
from demo.parts import messages
from demo.runs.files import browser_shows, picture_info, read_picture
from demo.runs.limits import LIMITS
from demo.runs.recipes import EXAMPLES

SMALL = 64  # px: less shows nothing
SHOWN = 2048  # px: of a picture that is converted to be shown


def examples(kind: str) -> list[str]:
    """Paths of the example pictures of a kind ("contents", "styles"), sorted by name."""
    return sorted(str(path) for path in (EXAMPLES / kind).glob("*.jpg"))


def example(kind: str, stem: str) -> str | None:
    """The path of one of them."""
    return next((path for path in examples(kind) if Path(path).stem == stem), None)


def picture(label: str, **options: Any) -> gr.Image:
    """An input picture as the untouched file: nstlib does rotation, transparency and the rest, and has
    better words than Gradio for what cannot be read (see guard/files.py)."""
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
    """After an upload: keeps a readable picture, as a PNG if browsers cannot show it; else removes it and
    says why. (picture, status)."""
    if path is None:
        return gr.skip(), gr.skip()
    try:  # a panorama may be too narrow for one size and not for another: the run says so
        read_picture(path, LIMITS.size)
        if not browser_shows(path):
            # not larger than needed: a PNG of 2048 px takes seconds to write
            size = min(max(*picture_info(path)[:2], LIMITS.size), max(SHOWN, LIMITS.size))
            return nstlib.to_pil(read_picture(path, size)), gr.skip()
    except Exception as error:
        return None, messages.alert(messages.explain(error, path))
    width, height, _ = picture_info(path)
    if max(width, height) < SMALL:
        words = f"This picture has only {width} × {height} px: it will be enlarged, and show little."
        return gr.skip(), messages.note(words)
    return gr.skip(), gr.skip()


def build(kind: str, label: str, first: str, alt: str, folder: str = "") -> gr.Image:
    """A picture with its strip of examples (of `folder`, else of its kind), in the current Blocks."""
    paths = examples(folder or kind)
    value = example(folder or kind, first)
    with gr.Column(min_width=150, elem_classes="nst-picture"):
        image = picture(label, value=value, height=210, elem_id=kind, alt_text=alt)
        gr.Examples(
            [[path] for path in paths],
            image,
            label=f"Examples: {label.lower()}",
            examples_per_page=12,
            cache_examples=False,
            api_visibility="private",
            elem_id=f"{kind}-examples",
        )
    return image
