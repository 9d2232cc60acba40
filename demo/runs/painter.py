"""One pass of a job: the picture that is there at once, before anything is optimised. Knows no Gradio."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
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
USUAL = 256  # px: what is prepared at up to this size takes 10 MB at most, and so is kept for a whole class
SECONDS = 20.0  # after which nobody waits for one pass any more
LIVE = 1.5  # seconds of one core that one pass may take on a public host
SECONDS_AT_256 = {
    "energy": 1.5,
    "sliced": 1.5,
    "cubic": 1.5,
    "cmd": 0.5,
}  # of one core, one pass; others: 0.25
EFFORT = ("features", "directions", "levels", "scales", "landmarks", "moments")  # options that cost time


@lru_cache(maxsize=1)
def encoder() -> nstlib.Encoder:
    """On ZeroGPU there is no GPU outside a booked run: there it works on the CPU."""
    return nstlib.load_encoder(device="cpu" if ZERO else "auto", dtype="auto")


def live(job: Job) -> Job:
    """The job at the size at which one pass is quick enough: on a public host one core serves everybody.

    Raises ValueError for a method with options that cost time: only a run uses those there.
    """
    if not LIMITS.public:
        return job
    settings = job.settings
    seconds = 0.0
    for part, _ in settings.discrepancy.parts():
        usual = {field.name: field.default for field in fields(part)}  # type: ignore[arg-type]
        if changed := [name for name in EFFORT if getattr(part, name, None) != usual.get(name)]:
            raise ValueError(f"{part}: the option {changed[0]} is too slow for one pass here; Refine uses it")
        seconds += SECONDS_AT_256.get(str(part).partition("(")[0], 0.25)
    seconds *= 1 + max(1.0, settings.style_scale**2)
    most = int(256 * (2 * LIVE / seconds) ** 0.5) // 32 * 32
    size = min(settings.size, max(most, 64))
    return replace(job, settings=settings.replace(size=size))


def one_pass(job: Job, detail: float = DETAIL) -> tuple[Pixels, dict[str, Any]]:
    """The picture (H, W, 3) of a transfer's one pass, and nstlib's recipe. Raises what nstlib raises, and
    ValueError where it takes too long."""
    for path in filter(None, (job.content, *job.styles)):
        read_picture(path, job.settings.size)  # in this thread: a slow file holds no painter up
    waiting = hand(job.settings.size <= SMALL).submit(_painted, job, detail)
    try:
        return waiting.result(timeout=SECONDS)
    except TimeoutError:
        waiting.cancel()
        raise ValueError(f"one pass took more than {SECONDS:g} s: choose a smaller size") from None


@lru_cache(maxsize=2)
def hand(small: bool) -> ThreadPoolExecutor:
    """The threads that paint. Small images are painted two at a time, on one core each: sharing one out
    costs more than it gains, as soon as anything else (the user's own browser) wants the other core."""
    threads, workers = torch.get_num_threads(), 2 if small else 1
    pool = ThreadPoolExecutor(workers, "painter", torch.set_num_threads, (1 if small else threads,))
    all_started = threading.Barrier(workers + 1)
    for _ in range(workers):
        pool.submit(all_started.wait)
    all_started.wait()
    torch.set_num_threads(threads)  # of every other thread
    return pool


def _painted(job: Job, detail: float) -> tuple[Pixels, dict[str, Any]]:
    s = job.settings
    assert job.content
    how = (s.discrepancy.seeded(s.seed), s.style_weights, s.colours, s.style_scale)
    ready = _kept[s.size <= USUAL](job.content, job.styles, job.region, s.size, *how)
    picture = ready(strength_at(s.gamma), detail, s.palette)
    return np.asarray(nstlib.to_pil(picture)), picture.recipe  # type: ignore[attr-defined]


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


_kept = {True: lru_cache(maxsize=32)(_ready), False: lru_cache(maxsize=3)(_ready)}
