"""Image files and Pillow images ⇄ tensors (1, 3, H, W), float32, RGB in [0, 1].

The only module that knows Pillow. The formats of `FORMATS` are read: EXIF rotation is applied,
transparency composited on white, grey, palette, CMYK and 16-bit images converted, and of an
animation the first frame is taken. A file may come from a stranger: it is converted in strips and
shrunk on the way, so that it costs little more than its own pixels.
"""

import contextlib
import glob
import json
import os
import secrets
import stat
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from nstlib.inputs import check_image

# None of these starts another program, as EPS does with Ghostscript.
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "TGA", "TIFF", "WEBP")
MAX_PIXELS = 64_000_000  # of a file as stored: far beyond a camera's, below what fills a laptop's memory
MAX_SCANS = 24  # passes of a progressive JPEG: cameras and editors write 10, each costs a full pass of time
MIN_SIDE = 16  # px after resizing: one position at relu5_1
STRIP = 1 << 20  # pixels converted at a time
GAP = 3  # first shrunk by a whole factor to no less than this many times the size, then resampled well
STALE = 3600  # seconds after which an unfinished file is no longer somebody's
ORIENTATION = 0x0112  # EXIF: how the camera was held → what turns the picture upright
UPRIGHT = dict(zip(range(2, 9), (Image.Transpose(turn) for turn in (0, 3, 1, 5, 4, 6, 2)), strict=True))
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
        _check_pixels(source, max_pixels, "the image")
        return _to_tensor(source, size, "the image")
    with _opened(source) as (file, name):
        _check_pixels(file, max_pixels, name)
        if file.format in ("JPEG", "MPO"):
            _check_scans(file, name)
        if size is not None:  # JPEG shrinks by 2, 4 or 8 while it decodes
            share = GAP * size / max(file.size)
            file.draft(None, (max(1, round(file.width * share)), max(1, round(file.height * share))))
        image = _to_tensor(file, size, name)
    image.source = os.path.basename(name)  # type: ignore[attr-defined]
    return image


def image_size(source: str | os.PathLike[str] | IO[bytes]) -> tuple[int, int]:
    """(width, height) in pixels as shown, from the file's head: nothing is decoded. Raises as load_image."""
    with _opened(source) as (file, _):
        width, height = file.size
        return (height, width) if file.getexif().get(ORIENTATION, 1) >= 5 else (width, height)


@contextlib.contextmanager
def _opened(source: str | os.PathLike[str] | IO[bytes]) -> Iterator[tuple[Image.Image, str]]:
    """The opened file and its name; whatever Pillow raises meanwhile becomes an ImageError."""
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    name = str(path or getattr(source, "name", "the open file"))
    try:
        if path is not None and not stat.S_ISREG(os.stat(path).st_mode):  # a pipe is waited for without end
            raise ImageError(f"{name} is no image file: it is a folder, a pipe or a device")
        with warnings.catch_warnings():  # of damaged tags, and of many pixels: our own limit is stricter
            warnings.simplefilter("ignore")
            with Image.open(source, formats=_known()) as file:
                yield file, name
    except FileNotFoundError:
        raise FileNotFoundError(f"no such image file: {name}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{name} has more than {MAX_PIXELS / 1e6:g} million pixels; shrink it") from None
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise many kinds: OSError, SyntaxError, struct.error, …
        what = "is it damaged, or another kind of file?"
        raise ImageError(f"cannot read {name} as an image; {what} ({error})") from error


def _known() -> list[str]:
    """Those of `FORMATS` that this Pillow can read."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def suffixes() -> set[str]:
    """The file suffixes of the formats that this Pillow can read, like ".jpg"."""
    known = _known()
    return {suffix for suffix, name in Image.registered_extensions().items() if name in known}


def _check_pixels(image: Image.Image, limit: int, name: str) -> None:
    width, height = image.size
    if width * height > limit:
        limit_words = f"over the limit of {limit / 1e6:g} million pixels; shrink it first"
        raise ImageError(f"{name} is {width} x {height} px, {limit_words}")


def _check_scans(file: Any, name: str) -> None:
    """A JPEG of a few kilobytes may ask for thousands of passes over all its pixels."""
    position = file.fp.tell()
    scans = file.fp.read().count(b"\xff\xda")  # its head has been read already
    file.fp.seek(position)
    if scans > MAX_SCANS:
        raise ImageError(f"{name} is a JPEG of {scans} scans, over the limit of {MAX_SCANS}; save it anew")


def _to_tensor(image: Image.Image, size: int | None, name: str) -> Tensor:
    factor = 1 if size is None else max(1, max(image.size) // (GAP * size))
    rgb = _to_rgb(image, factor)
    if (turn := UPRIGHT.get(image.getexif().get(ORIENTATION, 1))) is not None:
        rgb = rgb.transpose(turn)
    if size is not None:
        scale = size / max(rgb.size)
        rgb = rgb.resize(
            (max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale))), Image.Resampling.LANCZOS
        )
    if min(rgb.size) < MIN_SIDE:
        raise ImageError(
            f"{name} is {rgb.width} x {rgb.height} px; the shorter side must be at least {MIN_SIDE} px"
            + ("" if size is None else f" after resizing: crop it, or ask for more than size={size}")
        )
    pixels = torch.from_numpy(np.array(rgb))  # (H, W, 3) uint8
    return pixels.permute(2, 0, 1)[None].contiguous().float() / 255


def _to_rgb(image: Image.Image, factor: int) -> Image.Image:
    """Any Pillow mode → RGB, each side divided by `factor` (means of squares), strip by strip."""
    if image.mode == "RGB" and factor == 1 and not image.has_transparency_data:
        return image
    width, height = image.size
    top = _top(image)
    rows = max(1, STRIP // width // factor) * factor
    page = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for y in range(0, height, rows):
        strip = _strip_to_rgb(image.crop((0, y, width, min(y + rows, height))), top)
        page.paste(strip if factor == 1 else strip.reduce(factor), (0, y // factor))
    return page


def _top(image: Image.Image) -> float:
    """What stands for white in an image of 16 or 32 bits: floats are in [0, 1], [0, 255] or [0, 65535]."""
    if image.mode != "F":
        return 65535.0
    largest = np.fmax.reduce(np.asarray(image), axis=None, initial=0)
    return 1.0 if largest <= 1 else 255.0 if largest <= 255 else 65535.0


def _strip_to_rgb(image: Image.Image, top: float) -> Image.Image:
    """Transparency on white, 16- and 32-bit depths scaled to 8 bits."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.array(image, dtype=np.float64) / top).clip(0, 1)
        return Image.fromarray((values * 255).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def to_pil(image: Tensor) -> Image.Image:
    """(1, 3, H, W) or (3, H, W) in [0, 1] → an 8-bit RGB Pillow image. Raises as `inputs.check_image`."""
    batch = image[None] if isinstance(image, Tensor) and image.dim() == 3 else image
    pixels = check_image(batch, "image")[0].mul(255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().contiguous().numpy())


def check_output(path: str | os.PathLike[str]) -> Path:
    """The path, if `save_image` can write there: to be asked before a long run.

    Raises ImageError for a suffix that cannot be written, FileNotFoundError for a missing folder and
    PermissionError where nothing may be written. An existing file is not touched.
    """
    path = Path(path)
    suffixes = Image.registered_extensions()
    if suffixes.get(path.suffix.lower()) not in set(FORMATS) & set(Image.SAVE):
        raise ImageError(f"cannot save {path}: unknown image type {path.suffix!r}; use .png")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot save {path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise PermissionError(f"cannot save {path}: it is a folder")
    with unfinished(path) as part:  # os.access does not know full disks, quotas and read-only mounts
        part.touch()
    return path


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, nobody else's; it is gone afterwards. Clears away what runs that
    were killed have left."""
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > STALE:
                old.unlink()
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def save_image(image: Tensor, path: str | os.PathLike[str], recipe: dict[str, Any] | None = None) -> Path:
    """Writes an image tensor (1, 3, H, W) in [0, 1]; the suffix chooses the format. Returns the path.

    A PNG also embeds the recipe: the given one, else the one an nstlib run left on the tensor as
    `image.recipe` (settings, seed, versions, hash of the weights). `read_recipe` gets it back. The
    file is written beside its place and renamed: whenever the process dies, the old file or the new
    one is there, whole. Raises as `check_output`, and as `inputs.check_image` for what is no image in [0, 1].
    """
    path = check_output(path)
    recipe = getattr(image, "recipe", None) if recipe is None else recipe
    kind = Image.registered_extensions()[path.suffix.lower()]
    options: dict[str, Any] = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    if kind == "PNG" and recipe is not None:
        info = PngImagePlugin.PngInfo()
        info.add_itxt(RECIPE_KEY, json.dumps(recipe, ensure_ascii=False, sort_keys=True))
        options["pnginfo"] = info
    with unfinished(path) as part:
        with part.open("wb") as file:
            to_pil(image).save(file, format=kind, **options)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    return path


def read_recipe(source: str | os.PathLike[str] | IO[bytes]) -> dict[str, Any]:
    """The recipe embedded in a PNG by `save_image`. Raises ImageError where there is none."""
    recipe: Any = None
    with contextlib.suppress(FileNotFoundError, ImageError), _opened(source) as (file, _):
        recipe = json.loads(file.info[RECIPE_KEY])  # written before the pixels: nothing is decoded
    if not isinstance(recipe, dict):
        raise ImageError(f"{source} holds no nstlib recipe; only PNG files that nstlib saved do")
    return recipe
