"""Pictures on their way from and to a visitor, in a folder of our own that goes when the app ends.

Uploads, and Gradio's copies of what it serves, lie in `CACHE`, which store.py keeps clean; our own copy goes
when the generator that made it ends.
"""

import atexit
import os
import shutil
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import nstlib
from demo.runs.limits import LIMITS
from nstlib.images import ImageInfo, image_info, isolate

Pixels = np.ndarray[Any, np.dtype[np.uint8]]  # (H, W, 3)

PREFIX = "nstlib-app-"  # then the process's number
_folders: list[Path] = []  # of this process


def clear_stale(folder: Path) -> None:
    """Removes the folders of apps that were killed: their process does not exist, or is this one."""
    for old in folder.glob(f"{PREFIX}*"):
        number = old.name.removeprefix(PREFIX).partition("-")[0]
        ours = old.name in {own.name for own in _folders}  # in a container, the number of every app is 1
        if number.isdigit() and not ours and (int(number) == os.getpid() or not _runs(int(number))):
            shutil.rmtree(old, ignore_errors=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def _folder(parent: Path) -> Path:
    """A new folder for this process, which goes with it. Whatever lies in it is ours, and may be removed by
    age."""
    parent.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "getuid"):  # on Windows, signal 0 would end the process asked
        clear_stale(parent)
    folder = parent / f"{PREFIX}{os.getpid()}-{uuid.uuid4().hex}"
    _folders.append(folder)  # first: a signal may end the process at any moment
    folder.mkdir(mode=0o700)
    return folder


def remove_folder() -> None:
    """Remove the folders of this process. Threads that still write to one make one attempt fail, not ten.

    A child process that was forked from this one has no folders of its own and removes none.
    """
    for folder in _folders if os.getpid() == _OWNER else ():
        for _ in range(10):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.05)


_OWNER = os.getpid()
atexit.register(remove_folder)
_FOLDER = _folder(Path(tempfile.gettempdir()))  # Gradio takes files from the system's folder alone
_elsewhere = os.environ.get("GRADIO_TEMP_DIR")
# Gradio's own default is shared by all apps of a machine, and anyone who knows a path there may read it.
CACHE = (_folder(Path(_elsewhere)) if _elsewhere else _FOLDER) / "cache"
os.environ["GRADIO_TEMP_DIR"] = str(CACHE)


isolate(seconds=LIMITS.decode)  # no file of a client is decoded in this process
warnings.filterwarnings("ignore", message="the colour profile of ")  # the log is not for clients to fill


@lru_cache(maxsize=64 if LIMITS.public else 16)
def _decode(path: str, size: int) -> torch.Tensor | str:
    """The 8-bit pixels of an image, or why it is refused: a slow file costs its time once."""
    try:
        return (nstlib.load_image(path, size=size, max_pixels=LIMITS.pixels) * 255).round().to(torch.uint8)
    except nstlib.ImageError as error:
        if "try again in a moment" in str(error):  # the decoder's fault, not the file's
            raise
        return str(error)


def read_picture(path: str, size: int) -> torch.Tensor:
    """A client's image (1, 3, H, W), its longest side `size` px. The pixels of the last images are stored,
    because a slider asks for the same two at every move. Raises as nstlib.load_image."""
    decoded = _decode(path, size)
    if isinstance(decoded, str):
        raise nstlib.ImageError(decoded)
    image = decoded.float() / 255
    image.source = os.path.basename(path)  # type: ignore[attr-defined]  # a recipe records it
    return image


@lru_cache(maxsize=64)
def picture_info(path: str) -> ImageInfo:
    """The size and the format of a client's image. Raises as nstlib.load_image."""
    return image_info(path, max_pixels=LIMITS.pixels)


def browser_shows(path: str) -> bool:
    """Whether browsers can show this file. Raises as nstlib.load_image."""
    return picture_info(path).format in ("AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "WEBP")


@contextmanager
def outbox() -> Iterator[Path]:
    """A folder that exists as long as the with-block: write a file here, yield its path to Gradio."""
    folder = _FOLDER / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def save_png(pixels: Pixels, recipe: dict[str, Any], path: Path) -> str:
    """Writes a lossless PNG that carries its recipe; returns the path as text."""
    return str(nstlib.save_image(to_tensor(pixels), path, recipe=recipe))


def to_tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255


@lru_cache(maxsize=4)
def as_large_as(path: str, width: int, height: int) -> Image.Image:
    """The picture of a file, resized to a result: the two sides of a before-and-after must match."""
    source = nstlib.to_pil(read_picture(path, max(height, width)))
    return (
        source if source.size == (width, height) else source.resize((width, height), Image.Resampling.LANCZOS)
    )
