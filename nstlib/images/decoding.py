"""What can be asked of an image file: its pixels, its properties, its recipe. Each answers (value, notes).

A child process (worker.py) answers the same questions as this process does.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from nstlib.images.opening import (
    MAX_RECIPE,
    RECIPE_KEY,
    Allow,
    File,
    check_pixels,
    check_scans,
    opened,
    shown_size,
)
from nstlib.images.pixels import GAP, upright

Pixels = np.ndarray[Any, np.dtype[np.uint8]]  # (H, W, 3)


def pixels(
    source: File | Image.Image, name: str, allow: Allow, max_pixels: int, size: int | None, mask: bool
) -> tuple[Pixels, list[str]]:
    """The image (H, W, 3), and what its user should know."""
    if isinstance(source, Image.Image):
        check_pixels(source, max_pixels, name)
        rgb, notes = upright(source, size, name, mask)
        return np.array(rgb), notes
    with opened(source, name, max_pixels, allow) as file:
        if file.format in ("JPEG", "MPO"):
            check_scans(file, name)
        if size is not None:  # JPEG shrinks by 2, 4 or 8 while it decodes
            share = GAP * size / max(file.size)
            file.draft(None, (max(1, round(file.width * share)), max(1, round(file.height * share))))
        rgb, notes = upright(file, size, name, mask)
        return np.array(rgb), notes


def properties(source: File, name: str, allow: Allow, max_pixels: int) -> tuple[dict[str, Any], list[str]]:
    """Its size as shown and its format. Only a PNG is decoded: its rotation may stand behind its pixels."""
    with opened(source, name, max_pixels, allow) as file:
        width, height = shown_size(file)
        return {"width": width, "height": height, "format": file.format}, []


def recipe(source: File, name: str, allow: Allow, max_pixels: int) -> tuple[str, list[str]]:
    """The text of its recipe, cut off one character above its limit; empty where there is none."""
    with opened(source, name, max_pixels, allow) as file:
        text = file.info.get(RECIPE_KEY, "")  # written before the pixels: nothing is decoded
    return (str(text)[: MAX_RECIPE + 1] if isinstance(text, str) else ""), []


QUESTIONS: dict[str, Callable[..., tuple[Any, list[str]]]] = {
    "pixels": pixels,
    "properties": properties,
    "recipe": recipe,
}
