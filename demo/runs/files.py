"""Pictures on their way to a visitor: finished ones as PNG files with their recipe, in a folder of our own.

Gradio copies what it serves into its cache, which it empties by age; our own copy goes when the
generator that made it ends.
"""

import atexit
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import nstlib
from demo.runs.engine import Pixels

_FOLDER = Path(tempfile.mkdtemp(prefix="nstlib-app-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


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


def as_large_as(path: str, pixels: Pixels) -> Image.Image:
    """The picture of a file, resized to a result: the two sides of a before-and-after must match."""
    height, width = pixels.shape[:2]
    source = nstlib.to_pil(nstlib.load_image(path, size=max(height, width)))
    return (
        source if source.size == (width, height) else source.resize((width, height), Image.Resampling.LANCZOS)
    )
