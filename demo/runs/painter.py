"""One pass of a job: the picture that is there at once, before anything is optimised. Knows no Gradio."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch

import nstlib
from demo.runs.engine import Job
from demo.runs.files import Pixels, read_picture
from demo.runs.gpu import ZERO
from demo.runs.limits import LIMITS
from demo.runs.masks import masks
from demo.runs.recipes import DETAIL
from nstlib.feedforward.prepared import strength_at
from nstlib.synthesis.colours import Colours

SMALL = 384  # px
_line = threading.BoundedSemaphore(LIMITS.queue)


@lru_cache(maxsize=1)
def encoder() -> nstlib.Encoder:
    """On ZeroGPU there is no GPU outside a booked run: there it works on the CPU."""
    return nstlib.load_encoder(device="cpu" if ZERO else "auto", dtype="auto")


def one_pass(job: Job, detail: float = DETAIL) -> tuple[Pixels, dict[str, Any]]:
    """The picture (H, W, 3) of a transfer's one pass, and nstlib's recipe. Raises what nstlib raises, and
    ValueError where too many wait for theirs."""
    if not _line.acquire(blocking=False):
        raise ValueError("many pictures are being made here just now: move it again in a moment")
    try:
        return hand(job.settings.size <= SMALL).submit(_painted, job, detail).result()
    finally:
        _line.release()


@lru_cache(maxsize=2)
def hand(small: bool) -> ThreadPoolExecutor:
    """The thread that paints one picture after the other. Small ones are painted on one core: sharing them
    out costs more than it gains, as soon as anything else (the visitor's own browser) wants the other."""
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(1, "painter", torch.set_num_threads, (1 if small else threads,))
    pool.submit(int).result()
    torch.set_num_threads(threads)  # of every other thread
    return pool


def _painted(job: Job, detail: float) -> tuple[Pixels, dict[str, Any]]:
    s = job.settings
    assert job.content
    how = (s.discrepancy.seeded(s.seed), s.style_weights, s.colours, s.style_scale)
    ready = _ready(job.content, job.styles, job.region, s.size, *how)
    picture = ready(strength_at(s.gamma), detail, s.palette)
    return np.asarray(nstlib.to_pil(picture)), picture.recipe  # type: ignore[attr-defined]


@lru_cache(maxsize=2)
def _ready(
    content: str,
    styles: tuple[str, ...],
    where: str,
    size: int,
    method: nstlib.Discrepancy,
    style_weights: tuple[float, ...],
    colours: Colours,
    style_scale: float,
) -> nstlib.Prepared:
    """What does not change while a slider is moved: pictures are encoded once."""
    return nstlib.prepare(
        read_picture(content, size),
        [read_picture(path, size) for path in styles],
        method,
        style_weights=style_weights,
        masks=masks(where),
        colours=colours,
        style_scale=style_scale,
        encoder=encoder(),
    )
