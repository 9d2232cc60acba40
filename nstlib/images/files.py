"""Converts image files and Pillow images to tensors and back. A PNG stores the recipe of its image."""

import contextlib
import json
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from nstlib.images.isolation import ask
from nstlib.images.opening import (
    FORMATS,
    MAX_PIXELS,
    MAX_RECIPE,
    RECIPE_KEY,
    File,
    ImageError,
    Source,
    name_of,
)
from nstlib.images.pixels import MIN_SIDE, STRIP
from nstlib.inputs import check_image, is_number, show
from nstlib.version import check_writable, write_whole

MAX_SIDE = {"WEBP": 16383, "JPEG": 65500, "GIF": 65535, "TGA": 65535, "AVIF": 65536}  # longest side in px


class ImageInfo(NamedTuple):
    """width, height: size in pixels, as shown. format: Pillow's name of the format ("JPEG", "PNG", …)."""

    width: int
    height: int
    format: str


def load_image(source: Source, size: int | None = None, *, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Reads an image: turns it upright, converts it to sRGB, and composites transparency on white.

    Args:
        source: a path, an open binary file or a Pillow image. An animation gives its first frame.
        size: longest side in pixels, to which the image is shrunk or enlarged in proportion. None: unchanged.
        max_pixels: an image with more pixels is refused before it is decoded.

    Returns: (1, 3, H, W) float32 RGB in [0, 1].

    Raises: FileNotFoundError; ImageError (a ValueError), which names the image; MemoryError, before decoding,
        if the image does not fit in memory. A colour profile that cannot be used gives a UserWarning.
    """
    return _read(source, size, max_pixels, mask=False)


def load_mask(source: Source, size: int | None = None, *, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Reads a mask: the alpha channel of a file with transparency, otherwise the brightness (white is 1).

    Args, Raises: as load_image. A mask that has the same value everywhere gives a UserWarning.

    Returns: (1, 1, H, W) float32 in [0, 1].
    """
    mask = _read(source, size, max_pixels, mask=True)
    if mask.min() == mask.max():
        name = "mask" if isinstance(source, Image.Image) else f"mask {name_of(source)}"
        what = f"the {name} has the value {mask.max():.3g} everywhere; paint white on black"
        warnings.warn(f"{what}, or on transparency, where the style goes", UserWarning, stacklevel=2)
    return mask


def _read(source: Source, size: int | None, max_pixels: int, mask: bool) -> Tensor:
    if size is not None and not (is_number(size) and MIN_SIDE <= size < math.inf):
        what = f"a number of at least {MIN_SIDE}, got {show(size)}"
        raise ImageError(f"size is the longest side in pixels and must be {what}")
    pixels = ask("pixels", source, max_pixels=max_pixels, size=size, mask=mask)
    height, width, channels = pixels.shape
    image = torch.empty(1, channels, height, width, dtype=torch.float32, device="cpu")
    image.copy_(torch.from_numpy(pixels).permute(2, 0, 1)).div_(255)
    image = image.mean(1, keepdim=True) if mask else image
    if not isinstance(source, Image.Image):
        image.source = os.path.basename(name_of(source))  # type: ignore[attr-defined] # for recipes
    return image


def image_info(source: File, *, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Returns the size and the format of an image file. Raises as load_image."""
    return ImageInfo(**ask("properties", source, max_pixels=max_pixels))


def image_size(source: File) -> tuple[int, int]:
    """Returns (width, height) in pixels as shown. Raises as load_image."""
    return image_info(source)[:2]


def read_recipe(source: File) -> dict[str, Any]:
    """Reads the recipe that `save_image` embedded in a PNG.

    Raises: FileNotFoundError, or ImageError for an image that cannot be read, or whose recipe is missing or
        too long.
    """
    text, recipe = ask("recipe", source, max_pixels=MAX_PIXELS), None
    if len(text) > MAX_RECIPE:
        raise ImageError(f"the recipe in {name_of(source)} has more than {MAX_RECIPE:,} characters")
    with contextlib.suppress(ValueError, RecursionError):
        recipe = json.loads(text)
    if not isinstance(recipe, dict):
        raise ImageError(f"{name_of(source)} holds no nstlib recipe; only PNG files that nstlib saved do")
    return recipe


def to_pil(image: Tensor) -> Image.Image:
    """Turns an image (1, 3, H, W) or (3, H, W) in [0, 1] into an 8-bit RGB Pillow image.

    Raises: TypeError or ValueError for anything else.
    """
    batch = image[None] if isinstance(image, Tensor) and image.dim() == 3 else image
    checked = check_image(batch, "image", copy=False)[0]
    height, width = checked.shape[1:]
    page, rows = Image.new("RGB", (width, height)), max(1, STRIP // width)
    for k, strip in enumerate(torch.split(checked, rows, 1)):
        pixels = strip.mul(255).round_().to(torch.uint8).permute(1, 2, 0).cpu().contiguous()
        page.paste(Image.fromarray(pixels.numpy()), (0, k * rows))
    return page


def check_output(path: str | os.PathLike[str], size: Sequence[int] = (0, 0)) -> Path:
    """Checks that `save_image` can write to a path, and returns the path. An existing file stays unchanged.

    size: (H, W) of the image in pixels, if known.

    Raises: ImageError if no format with this suffix can be written, or if a side exceeds the limit of the
        format. Otherwise the errors of `version.check_writable`.
    """
    path = Path(path)
    kind, (height, width) = _format(path) or "", size
    if kind not in set(FORMATS) & set(Image.SAVE) or kind == "GIF":
        what = f"unknown image type {path.suffix!r}" if path.suffix else "its name has no suffix"
        what = "GIF has only 256 colours" if kind == "GIF" else what
        what = "it is a folder: name a file in it" if path.is_dir() else what
        raise ImageError(f"cannot save {path}: {what}; use .png (it stores the recipe), .jpg, .webp or .tif")
    if max(size) > (limit := MAX_SIDE.get(kind, MAX_PIXELS)):
        what = f"the format {kind} holds at most {limit} px a side, and the image is {width} x {height} px"
        raise ImageError(f"cannot save {path}: {what}; use .png")
    return check_writable(path)


def _format(path: Path) -> str | None:
    return Image.registered_extensions().get(path.suffix.lower())


def save_image(image: Tensor, path: str | os.PathLike[str], recipe: dict[str, Any] | None = None) -> Path:
    """Writes an image (1, 3, H, W) in [0, 1]. The suffix chooses the format. Returns the path.

    If the process is killed, the path has either the old or the new file, and this file is complete.

    Args:
        recipe: recipe to embed in a PNG, see `read_recipe`. Default: the attribute `image.recipe`, which a
            run adds to its images (settings, seed, versions, hash of the weights).

    Raises: ImageError or OSError if the file cannot be written, TypeError or ValueError for a wrong image.
    """
    path = check_output(path, image.shape[-2:] if isinstance(image, Tensor) and image.dim() > 1 else (0, 0))
    recipe = getattr(image, "recipe", None) if recipe is None else recipe
    kind, options = _format(path), dict[str, Any]()
    if kind in ("JPEG", "WEBP"):
        options = {"quality": 95}
    elif kind == "PNG" and recipe is not None:
        text, info = json.dumps(recipe, ensure_ascii=False, sort_keys=True), PngImagePlugin.PngInfo()
        if len(text) > MAX_RECIPE:
            raise ImageError(f"cannot save {path}: its recipe has over {MAX_RECIPE:,} characters; shorten it")
        info.add_itxt(RECIPE_KEY, text)
        options = {"pnginfo": info}
    with write_whole(path) as part:
        to_pil(image).save(part, format=kind, **options)
    return path
