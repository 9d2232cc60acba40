"""A short animation of a run, from the images that the page has shown."""

from pathlib import Path

import numpy as np
from PIL import Image

from demo.runs.files import Pixels

FRAMES = 24  # at most; if there are more, every second frame is dropped
SIDE = 384  # px at most
EACH, LAST = 120, 1500  # milliseconds for each image, and for the last one


class Animation:
    """Collects the images that the page shows. Drops every second one when there are more than FRAMES."""

    def __init__(self) -> None:
        self._frames: list[Image.Image] = []
        self._stride, self._seen = 1, 0

    def add(self, pixels: Pixels) -> None:
        if self._seen % self._stride == 0:
            self._frames.append(_thumbnail(pixels))
        self._seen += 1
        if len(self._frames) > FRAMES:
            self._frames, self._stride = self._frames[::2], 2 * self._stride

    def save(self, path: Path, last: Pixels) -> str:
        """Writes an animated WebP that ends with `last`, and returns its path."""
        end = _thumbnail(last)
        frames = [frame.resize(end.size) for frame in self._frames] + [end]
        durations = [EACH] * len(self._frames) + [LAST]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=85)
        return str(path)


def _thumbnail(pixels: Pixels) -> Image.Image:
    frame = Image.fromarray(np.ascontiguousarray(pixels))
    frame.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return frame
