"""Named images to choose from: buttons with thumbnails that are sharp on a dense screen."""

from functools import lru_cache
from html import escape
from typing import Any

import gradio as gr
from PIL import ImageOps

import nstlib
from demo.components.common import data_url

SCRIPT = """element.addEventListener("click", (event) => {
  const name = event.target.closest("button")?.dataset.name;
  if (name !== undefined) trigger("select", { name });
});"""


@lru_cache(maxsize=64)
def thumbnail(path: str, width: int, height: int) -> str:
    """An image of this app as a data URL, cropped to its middle."""
    image = nstlib.to_pil(nstlib.load_image(path, size=2 * max(width, height)))
    return data_url(ImageOps.fit(image, (width, height)), 80)


def picker(label: str, images: dict[str, str], id: str, size: tuple[int, int] = (144, 144)) -> gr.HTML:
    """The component. images: name → file, or "" for no image. page.js marks the chosen button."""
    buttons = "".join(
        f'<button type="button" data-name="{escape(name)}" aria-pressed="false">'
        + (f'<img src="{thumbnail(path, *size)}" alt="">' if path else '<i aria-hidden="true">–</i>')
        + f"<span>{escape(title(name))}</span></button>"
        for name, path in images.items()
    )
    html = f'<div class="nst-picker" role="group" aria-label="{escape(label)}">{buttons}</div>'
    return gr.HTML(html, elem_id=f"{id}-examples", js_on_load=SCRIPT)


def title(name: str) -> str:
    return name.replace("_", " ").replace("-", " × ")


def named(event: Any, images: dict[str, str]) -> str:
    """The file whose name the event carries. Raises gr.Error for an unknown name."""
    try:
        return images[event.name]
    except (AttributeError, TypeError, KeyError) as error:
        raise gr.Error("There is no such image here.", print_exception=False) from error
