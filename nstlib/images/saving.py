"""Image tensors → files and Pillow images; a PNG carries the recipe that made it."""

import contextlib
import glob
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from nstlib.images.opening import FORMATS, MAX_RECIPE, RECIPE_KEY, ImageError
from nstlib.inputs import check_image

STALE = 3600  # seconds after which an unfinished file is no longer somebody's


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
        text = json.dumps(recipe, ensure_ascii=False, sort_keys=True)
        if len(text) > MAX_RECIPE:
            raise ImageError(f"cannot save {path}: its recipe has over {MAX_RECIPE:,} characters; shorten it")
        info = PngImagePlugin.PngInfo()
        info.add_itxt(RECIPE_KEY, text)
        options["pnginfo"] = info
    with unfinished(path) as part:
        with part.open("wb") as file:
            to_pil(image).save(file, format=kind, **options)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    return path
