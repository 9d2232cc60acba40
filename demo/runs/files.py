"""Images from and for users, in folders of this process that are removed when the app ends.

Uploads and Gradio's copies of the files that it serves lie in `CACHE`, which store.py keeps clean. The app's
own copy of a file is removed when the generator that wrote it ends.
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
from nstlib.images import CostlyImageError, DecoderBusyError, ImageInfo, image_info, isolate

Pixels = np.ndarray[Any, np.dtype[np.uint8]]  # (H, W, 3)

PREFIX = "nstlib-app-"  # then the process's number
_folders: list[Path] = []  # of this process


def clear_stale(folder: Path) -> None:
    """Removes the folders of apps that were killed: their process does not exist, or is this one."""
    for old in folder.glob(f"{PREFIX}*"):
        number = old.name.removeprefix(PREFIX).partition("-")[0]
        ours = old.name in {own.name for own in _folders}  # in a container, the number of every app is 1
        if number.isdigit() and not ours and (int(number) == os.getpid() or not _is_running(int(number))):
            shutil.rmtree(old, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)  # the process may be another user's
    return True


def _make_folder(parent: Path) -> Path:
    """A new folder of this process. Every file in it is the app's own, and may be removed by age."""
    parent.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "getuid"):  # on Windows, signal 0 would end the process
        clear_stale(parent)
    folder = parent / f"{PREFIX}{os.getpid()}-{uuid.uuid4().hex}"
    _folders.append(folder)  # first: a signal may end the process at any moment
    folder.mkdir(mode=0o700)
    return folder


def remove_folder() -> None:
    """Removes the folders of this process. Threads that still write to one may make an attempt fail.

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
_FOLDER = _make_folder(Path(tempfile.gettempdir()))  # Gradio takes files from the system's folder only
_elsewhere = os.environ.get("GRADIO_TEMP_DIR")
# All apps of a machine share Gradio's own default, and anyone who knows a path there may read the file.
CACHE = (_make_folder(Path(_elsewhere)) if _elsewhere else _FOLDER) / "cache"
os.environ["GRADIO_TEMP_DIR"] = str(CACHE)


isolate(seconds=LIMITS.decode)  # this process decodes no file of a client
warnings.filterwarnings("ignore", message="the (colour profile|values) of ")  # clients must not fill the log


_over_limit: dict[str, str] = {}  # path → why; these files are not decoded again


@contextmanager
def _once(path: str) -> Iterator[None]:
    """Raises at once for a file that has taken too much time or memory before."""
    if path in _over_limit:
        raise nstlib.ImageError(_over_limit[path])
    try:
        yield
    except CostlyImageError as error:
        if len(_over_limit) >= 1000:
            _over_limit.clear()
        _over_limit[path] = str(error)
        raise


@lru_cache(maxsize=64 if LIMITS.public else 16)
def _decode(path: str, size: int) -> torch.Tensor | str:
    """The 8-bit pixels of an image, or why it is refused."""
    try:
        with _once(path):
            image = nstlib.load_image(path, size=size, max_pixels=LIMITS.pixels)
        return (image * 255).round().to(torch.uint8)
    except DecoderBusyError:  # not the file's fault
        raise
    except nstlib.ImageError as error:
        return str(error)


def load_input(path: str, size: int) -> torch.Tensor:
    """A client's image (1, 3, H, W), its longest side `size` px. Raises as nstlib.load_image. The pixels of
    the last images are stored, because a slider asks for the same two at every move."""
    decoded = _decode(path, size)
    if isinstance(decoded, str):
        raise nstlib.ImageError(decoded)
    image = decoded.float() / 255
    image.source = os.path.basename(path)  # type: ignore[attr-defined]  # a recipe records it
    return image


@lru_cache(maxsize=64)
def input_info(path: str) -> ImageInfo:
    """The size and the format of a client's image. Raises as nstlib.load_image."""
    with _once(path):
        return image_info(path, max_pixels=LIMITS.pixels)


@contextmanager
def outbox() -> Iterator[Path]:
    """A folder that exists as long as the with-block: write a file into it and yield its path to Gradio."""
    folder = _FOLDER / uuid.uuid4().hex
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def save_png(pixels: Pixels, recipe: dict[str, Any], path: Path) -> str:
    """Writes a lossless PNG that carries its recipe, and returns its path."""
    return str(nstlib.save_image(to_tensor(pixels), path, recipe=recipe))


def keep_image(image: torch.Tensor, stem: str) -> str:
    """Writes an image as a PNG into a new folder of `CACHE`, and returns its path."""
    path = CACHE / uuid.uuid4().hex / f"{stem}.png"
    path.parent.mkdir(parents=True)
    return str(nstlib.save_image(image, path))


def to_tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255


@lru_cache(maxsize=4)
def load_resized(path: str, width: int, height: int) -> Image.Image:
    """A client's image, resized to a result: both sides of a before-and-after must have the same size."""
    source = nstlib.to_pil(load_input(path, max(height, width)))
    return source.resize((width, height), Image.Resampling.LANCZOS)
