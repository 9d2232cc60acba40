"""One pass for the Live room: what does not change between two pictures is kept. Knows no Gradio.

The photograph's encoding and what a method remembers of a style are kept for the last few files, sizes and
methods; a move of the strength slider then costs one pass through the decoder.
"""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

import nstlib
from demo.runs.files import Pixels, read_picture
from demo.runs.gpu import ZERO
from nstlib.feedforward.onepass import OnePass

KEPT = 8  # pictures seen, and styles remembered


@lru_cache(maxsize=1)
def painter() -> OnePass:
    """On ZeroGPU there is no GPU outside a booked run: there it works on the CPU."""
    return OnePass(nstlib.load_encoder(device="cpu" if ZERO else "auto", dtype="auto"))


@lru_cache(maxsize=KEPT)
def seen(path: str, size: int) -> tuple[Any, tuple[int, int]]:
    picture = read_picture(path, size)
    return painter().see(picture), (picture.shape[2], picture.shape[3])


@lru_cache(maxsize=KEPT)
def remembered(path: str, size: int, method: str) -> Any:
    return painter().remember(read_picture(path, size), method)


def paint(
    content: str,
    style: str,
    method: str,
    size: int,
    strength: float,
    detail: float,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Pixels, float]:
    """The picture (H, W, 3), of the content's shape, and the seconds it took. Raises what nstlib raises."""
    start = clock()
    photograph, (height, width) = seen(content, size)
    picture = painter()(photograph, [remembered(style, size, method)], strength, detail)
    return np.asarray(nstlib.to_pil(picture[..., :height, :width])), clock() - start
