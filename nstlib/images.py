"""Image files and Pillow images ⇄ tensors (1, 3, H, W), float32, RGB in [0, 1].

The only module that knows Pillow. Whatever Pillow reads is accepted: EXIF rotation is applied,
transparency composited on white, grey, palette, CMYK and 16-bit images converted, and of an
animation the first frame is taken.
"""

import json
import os
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin
from torch import Tensor

MAX_PIXELS = 64_000_000  # of a file as stored: far beyond a camera's, below what fills a laptop's memory
MIN_SIDE = 16  # px after resizing: one position at relu5_1
RECIPE_KEY = "nstlib"

Source = str | os.PathLike[str] | IO[bytes] | Image.Image


class ImageError(ValueError):
    """An image that cannot be used; the message names it and says what to do."""


def load_image(source: Source, size: int | None = None, *, max_pixels: int = MAX_PIXELS) -> Tensor:
    """Reads an image. Returns (1, 3, H, W) float32 RGB in [0, 1].

    source: a path, an open binary file or a Pillow image. size: longest side in pixels (the aspect
    ratio is kept; smaller images are enlarged); None keeps the size. max_pixels: refused above, before
    anything is decoded. Raises FileNotFoundError, or ImageError (a ValueError) that names the image.
    """
    if size is not None and size < MIN_SIDE:
        raise ImageError(f"size is the longest side in pixels and must be at least {MIN_SIDE}, got {size}")
    if isinstance(source, Image.Image):
        return _to_tensor(source, size, max_pixels, "the image")
    name = str(getattr(source, "name", source)) if hasattr(source, "read") else os.fspath(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is stricter
            file = Image.open(source)
        with file:
            return _to_tensor(file, size, max_pixels, str(name))
    except FileNotFoundError:
        raise FileNotFoundError(f"no such image file: {name}") from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{name} has more than {max_pixels / 1e6:.0f} million pixels; shrink it first"
        ) from None
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise many kinds: OSError, SyntaxError, struct.error, …
        raise ImageError(
            f"cannot read {name} as an image; is it damaged, or another kind of file? ({error})"
        ) from error


def _to_tensor(image: Image.Image, size: int | None, max_pixels: int, name: str) -> Tensor:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"{name} is {width} x {height} px, over the limit of {max_pixels / 1e6:g} million pixels; "
            "shrink it first"
        )
    image = _to_rgb(ImageOps.exif_transpose(image))
    if size is not None:
        scale = size / max(image.size)
        image = image.resize(
            (max(1, round(image.width * scale)), max(1, round(image.height * scale))),
            Image.Resampling.LANCZOS,
        )
    if min(image.size) < MIN_SIDE:
        raise ImageError(
            f"{name} is {image.width} x {image.height} px; the shorter side must be at least {MIN_SIDE} px"
            + ("" if size is None else f" after resizing: crop it, or ask for more than size={size}")
        )
    pixels = torch.from_numpy(np.array(image))  # (H, W, 3) uint8
    return pixels.permute(2, 0, 1)[None].contiguous().float() / 255


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode → RGB, transparency on white, 16- and 32-bit depths scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.array(image, dtype=np.float64)
        if image.mode == "F" and values.max(initial=0) <= 1:
            top = 1.0
        else:
            top = 255.0 if image.mode == "F" and values.max(initial=0) <= 255 else 65535.0
        return Image.fromarray(
            (np.nan_to_num(values / top).clip(0, 1) * 255).round().astype(np.uint8)
        ).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def to_pil(image: Tensor) -> Image.Image:
    """(1, 3, H, W) or (3, H, W) in [0, 1] → an 8-bit RGB Pillow image; values outside are clamped."""
    if image.dim() == 4 and len(image) == 1:
        image = image[0]
    if image.dim() != 3 or image.shape[0] != 3:
        raise ValueError(f"an image tensor is (1, 3, H, W), got {tuple(image.shape)}")
    pixels = image.detach().float().nan_to_num().clamp(0, 1).mul(255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().contiguous().numpy())


def save_image(image: Tensor, path: str | os.PathLike[str], recipe: dict[str, Any] | None = None) -> Path:
    """Writes an image tensor (1, 3, H, W) in [0, 1]; the suffix chooses the format. Returns the path.

    A PNG also embeds the recipe: the given one, else the one an nstlib run left on the tensor as
    `image.recipe` (settings, seed, versions, hash of the weights). `read_recipe` gets it back. The
    file is written beside its place and renamed, so an interrupted save leaves no half file.
    """
    path = Path(path)
    if path.suffix.lower() not in Image.registered_extensions():
        raise ImageError(f"cannot save {path}: unknown image type {path.suffix!r}; use .png")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot save {path}: the folder {path.parent} does not exist")
    recipe = recipe if recipe is not None else getattr(image, "recipe", None)
    options: dict[str, Any] = {"quality": 95} if path.suffix.lower() in {".jpg", ".jpeg", ".webp"} else {}
    if path.suffix.lower() == ".png" and recipe is not None:
        info = PngImagePlugin.PngInfo()
        info.add_itxt(RECIPE_KEY, json.dumps(recipe, ensure_ascii=False, sort_keys=True))
        options["pnginfo"] = info
    part = path.with_name(f".{path.name}.part")
    try:
        to_pil(image).save(part, format=Image.registered_extensions()[path.suffix.lower()], **options)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def read_recipe(source: str | os.PathLike[str] | IO[bytes]) -> dict[str, Any]:
    """The recipe embedded in a PNG by `save_image`. Raises ImageError where there is none."""
    try:
        with Image.open(source) as file:
            recipe = json.loads(getattr(file, "text", {})[RECIPE_KEY])
    except (OSError, SyntaxError, KeyError, ValueError):
        recipe = None
    if not isinstance(recipe, dict):
        raise ImageError(f"{source} holds no nstlib recipe; only PNG files that nstlib saved do")
    return recipe
