"""Images from and for users, in folders of this process. The app removes these folders when it ends.

`CACHE` holds the uploads and the copies of files that Gradio serves; store.py removes old ones. The original
of such a copy lies in a folder of `outbox`, which is removed when the generator that uses it ends.
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

PREFIX = "nstlib-app-"  # the process id follows
_folders: list[Path] = []  # of this process


def clear_stale(folder: Path) -> None:
    """Removes the folders of killed apps. Their process does not exist, or has the id of this process."""
    for old in folder.glob(f"{PREFIX}*"):
        number = old.name.removeprefix(PREFIX).partition("-")[0]
        ours = old.name in {own.name for own in _folders}  # in a container, every app has the process id 1
        if number.isdigit() and not ours and (int(number) == os.getpid() or not _is_running(int(number))):
            shutil.rmtree(old, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)  # the process may belong to a different user
    return True


def _make_folder(parent: Path) -> Path:
    """Makes a new folder of this process. It holds only files of the app, so that old ones can be removed."""
    parent.mkdir(parents=True, exist_ok=True)
    if hasattr(os, "getuid"):  # on Windows, signal 0 would end the process
        clear_stale(parent)
    folder = parent / f"{PREFIX}{os.getpid()}-{uuid.uuid4().hex}"
    _folders.append(folder)  # before mkdir, because a signal may end the process at any moment
    folder.mkdir(mode=0o700)
    return folder


def remove_folder() -> None:
    """Removes the folders of this process. It tries again if a thread still writes a file.

    In a forked child process it does nothing, because the folders belong to the parent.
    """
    for folder in _folders if os.getpid() == _OWNER else ():
        for _ in range(10):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.05)


_OWNER = os.getpid()
atexit.register(remove_folder)
_FOLDER = _make_folder(Path(tempfile.gettempdir()))  # Gradio accepts files only from this place
_elsewhere = os.environ.get("GRADIO_TEMP_DIR")
# All apps of a machine share Gradio's default folder, and a client who knows a path there can read the file.
CACHE = (_make_folder(Path(_elsewhere)) if _elsewhere else _FOLDER) / "cache"
os.environ["GRADIO_TEMP_DIR"] = str(CACHE)


isolate(seconds=LIMITS.decode)  # child processes decode the files of clients
warnings.filterwarnings("ignore", message="the (colour profile|values) of ")  # clients must not fill the log


_over_limit: dict[str, str] = {}  # path → error message; these files are not decoded again


@contextmanager
def _once(path: str) -> Iterator[None]:
    """Raises ImageError at once for a file that took too much time or memory before."""
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
    """The 8-bit pixels of an image, or the message that says why it is refused."""
    try:
        with _once(path):
            image = nstlib.load_image(path, size=size, max_pixels=LIMITS.pixels)
        return (image * 255).round().to(torch.uint8)
    except DecoderBusyError:  # not cached: the file may be readable later
        raise
    except nstlib.ImageError as error:
        return str(error)


def load_input(path: str, size: int) -> torch.Tensor:
    """Loads a client's image (1, 3, H, W) with a longest side of `size` px. The last
    images are cached: every move of a slider needs the same two. Raises the errors of nstlib.load_image."""
    decoded = _decode(path, size)
    if isinstance(decoded, str):
        raise nstlib.ImageError(decoded)
    image = decoded.float() / 255
    image.source = os.path.basename(path)  # type: ignore[attr-defined]  # a recipe records it
    return image


@lru_cache(maxsize=64)
def input_info(path: str) -> ImageInfo:
    """The size and the format of a client's image. Raises the errors of nstlib.load_image."""
    with _once(path):
        return image_info(path, max_pixels=LIMITS.pixels)


@contextmanager
def outbox() -> Iterator[Path]:
    """Gives a folder that exists during the with-block. Write a file there and yield its path to Gradio."""
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
    """A client's image at the size of a result: both sides of Before / after must have the same size."""
    source = nstlib.to_pil(load_input(path, max(height, width)))
    return source.resize((width, height), Image.Resampling.LANCZOS)
