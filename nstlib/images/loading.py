"""Image files and Pillow images → tensors (1, 3, H, W), float32, sRGB in [0, 1]; recipes, sizes, formats."""

import contextlib
import json
import os
import warnings
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from nstlib.images.isolation import ask
from nstlib.images.opening import MAX_PIXELS, MAX_RECIPE, File, ImageError, name_of
from nstlib.images.pixels import MIN_SIDE

Source = File | Image.Image


class ImageInfo(NamedTuple):
    """width, height: in pixels, as shown. format: as Pillow names it ("JPEG", "PNG", …)."""

    width: int
    height: int
    format: str


def load_image(source: Source, size: int | None = None, *, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Reads an image: turned upright, in sRGB by its colour profile, transparency on white.

    Args:
        source: a path, an open binary file or a Pillow image. Of an animation the first frame is taken.
        size: longest side in pixels (the aspect ratio is kept; smaller images are enlarged); None keeps it.
        max_pixels: an image with more is refused before anything is decoded.

    Returns: (1, 3, H, W) float32 RGB in [0, 1].

    Raises: FileNotFoundError, or ImageError (a ValueError) that names the image. A colour profile that cannot
    be used is ignored with a UserWarning.
    """
    return _read(source, size, max_pixels, mask=False)


def load_mask(source: Source, size: int | None = None, *, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Reads a mask: its opacity where it has any transparency, else how white it is.

    Args, Raises: as load_image. A mask that has one value everywhere is read with a UserWarning.

    Returns: (1, 1, H, W) float32 in [0, 1].
    """
    mask = _named(_read(source, size, max_pixels, mask=True).mean(1, keepdim=True), source)
    if mask.min() == mask.max():
        words = f"the mask {name_of(source)} has the value {mask.max():.3g} everywhere; paint white on black"
        warnings.warn(f"{words}, or on transparency, where the style goes", UserWarning, stacklevel=2)
    return mask


def _read(source: Source, size: int | None, max_pixels: int, mask: bool) -> Tensor:
    if size is not None and size < MIN_SIDE:
        raise ImageError(f"size is the longest side in pixels and must be at least {MIN_SIDE}, got {size}")
    pixels, notes = ask("pixels", source, max_pixels=max_pixels, size=size, mask=mask)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=3)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous().float() / 255
    return _named(image, source)


def _named(image: Tensor, source: Source) -> Tensor:
    """The tensor with the name of its file, which a recipe records."""
    if not isinstance(source, Image.Image):
        image.source = os.path.basename(name_of(source))  # type: ignore[attr-defined]
    return image


def image_info(source: File, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """The size and the format of an image file. Raises as load_image."""
    return ImageInfo(**ask("properties", source, max_pixels=max_pixels)[0])


def image_size(source: File) -> tuple[int, int]:
    """(width, height) in pixels as shown. Raises as load_image."""
    return image_info(source)[:2]


def read_recipe(source: File) -> dict[str, Any]:
    """The recipe embedded in a PNG by `save_image`.

    Raises FileNotFoundError, or ImageError for an image that cannot be read, that holds no recipe, or one
    that is too long.
    """
    text, recipe = ask("recipe", source, max_pixels=MAX_PIXELS)[0], None
    if len(text) > MAX_RECIPE:
        raise ImageError(f"the recipe in {name_of(source)} has more than {MAX_RECIPE:,} characters")
    with contextlib.suppress(ValueError, RecursionError):
        recipe = json.loads(text)
    if not isinstance(recipe, dict):
        raise ImageError(f"{name_of(source)} holds no nstlib recipe; only PNG files that nstlib saved do")
    return recipe
