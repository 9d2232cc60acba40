"""A short animation of a picture as it formed, from the pictures that were shown anyway."""

from pathlib import Path

import numpy as np
from PIL import Image

from demo.runs.files import Pixels

FRAMES = 24  # at most: then every second one is dropped
SIDE = 384  # px at most
EACH, LAST = 120, 1500  # ms


class Film:
    """Pictures in the order they were shown, thinned as they come."""

    def __init__(self) -> None:
        self._frames: list[Image.Image] = []
        self._stride, self._seen = 1, 0

    def add(self, pixels: Pixels) -> None:
        if self._seen % self._stride == 0:
            self._frames.append(_small(pixels))
        self._seen += 1
        if len(self._frames) > FRAMES:
            self._frames, self._stride = self._frames[::2], 2 * self._stride

    def save(self, path: Path, last: Pixels) -> str:
        """Writes an animated WebP that lingers on `last`; returns the path as text."""
        frames = [*self._frames, _small(last)]
        size = frames[-1].size
        frames = [frame if frame.size == size else frame.resize(size) for frame in frames]
        waits = [EACH] * (len(frames) - 1) + [LAST]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=waits, loop=0, quality=85)
        return str(path)


def _small(pixels: Pixels) -> Image.Image:
    frame = Image.fromarray(np.ascontiguousarray(pixels))
    frame.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return frame
