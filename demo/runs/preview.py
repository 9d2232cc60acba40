"""One pass of a job: a fast preview before the optimisation."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

import nstlib
from demo.runs.engine import Job
from demo.runs.files import Pixels, load_input
from demo.runs.gpu import ZERO
from demo.runs.limits import LIMITS
from demo.runs.masks import masks
from nstlib.feedforward.prepared import gamma_to_strength

SMALL = 384  # px
USUAL = 256  # px: up to this size a prepared pass takes at most 10 MB, so the cache holds 32 of them
SECONDS = 20.0  # the longest time to wait for one pass
LIVE = 1.5  # seconds of one core that one pass may take on a public host
SECONDS_AT_256 = {"energy": 1.5, "sliced": 1.5, "cubic": 1.5, "cmd": 0.5}  # on one core; other methods: 0.25
# options of methods that can make one pass slow
EFFORT = ("n_features", "n_projections", "n_quantiles", "scales", "landmarks", "moments")


@lru_cache(maxsize=1)
def encoder() -> nstlib.encoders.Encoder:
    """The encoder of previews. On ZeroGPU it uses the CPU, because there is no GPU outside a booked run."""
    return nstlib.load_encoder(device="cpu" if ZERO else "auto", dtype="auto")


def quick(job: Job, most: int | None = None) -> Job:
    """The job at a size at which one pass is fast enough. On a public host, one core serves all users.

    most: The largest size. Raises ValueError on a public host if an option in `EFFORT` does not have its
        default value; only a run may use such options.
    """
    job = replace(job, settings=job.settings.replace(size=min(job.settings.size, most or job.settings.size)))
    if not LIMITS.public:
        return job
    settings = job.settings
    seconds = 0.0
    for part, _ in settings.discrepancy.components():
        usual = {field.name: field.default for field in fields(part)}  # type: ignore[arg-type]
        if changed := [name for name in EFFORT if getattr(part, name, None) != usual.get(name)]:
            raise ValueError(f"{part}: the option {changed[0]} is too slow for one pass here; Refine uses it")
        seconds += SECONDS_AT_256.get(part.name, 0.25)
    seconds *= 1 + max(1.0, settings.style_scale**2)
    most = max(64, int(256 * (2 * LIVE / seconds) ** 0.5) // 32 * 32)
    return replace(job, settings=settings.replace(size=min(settings.size, most)))


def one_pass(job: Job, strength: float | None = None) -> tuple[Pixels, dict[str, Any]]:
    """The image (H, W, 3) of one pass of a transfer, and nstlib's recipe. The default strength corresponds to
    the job's γ. Raises the errors of nstlib, and ValueError if one pass takes too long."""
    if strength is None:
        strength = gamma_to_strength(job.settings.gamma)
    for path in filter(None, (job.content, *job.styles)):
        load_input(path, job.settings.size)  # here, so that a slow file delays no other preview
    waiting = _workers(job.settings.size <= SMALL).submit(_make, job, strength)
    try:
        return waiting.result(timeout=SECONDS)
    except TimeoutError:
        waiting.cancel()
        raise ValueError(f"one pass took more than {SECONDS:g} s: choose a smaller size") from None


@lru_cache(maxsize=2)
def _workers(small: bool) -> ThreadPoolExecutor:
    """The threads that make previews. Two small images are made at the same time, on one core each. Several
    cores for one small image are slower as soon as a different program, such as the browser, needs a core."""
    threads, workers = torch.get_num_threads(), 2 if small else 1
    pool = ThreadPoolExecutor(workers, "preview", torch.set_num_threads, (1 if small else threads,))
    all_started = threading.Barrier(workers + 1)
    for _ in range(workers):
        pool.submit(all_started.wait)
    all_started.wait()
    torch.set_num_threads(threads)  # restores the global value, which the pool has changed
    return pool


def _make(job: Job, strength: float) -> tuple[Pixels, dict[str, Any]]:
    s = job.settings
    used = ("size", "style_weights", "colours", "style_scale")
    fixed = {name: getattr(s, name) for name in used} | {"method": s.discrepancy.with_seed(s.seed)}
    kept = Job(nstlib.Settings(**fixed), job.content, job.style, second=job.second, where=job.region)
    ready = (_prepare_small if s.size <= USUAL else _prepare_large)(kept)
    image = ready(strength, palette=s.palette)
    return np.asarray(nstlib.to_pil(image)), image.recipe  # type: ignore[attr-defined]


def _prepare(job: Job) -> nstlib.feedforward.Prepared:
    """Computes once what stays the same while a slider moves, such as the encoded images."""
    s = job.settings
    return nstlib.prepare(
        load_input(str(job.content), s.size),
        [load_input(path, s.size) for path in job.styles],
        s.discrepancy,
        style_weights=s.style_weights,
        masks=masks(job.region),
        colours=s.colours,
        style_scale=s.style_scale,
        encoder=encoder(),
    )


_prepare_small = lru_cache(maxsize=32)(_prepare)
_prepare_large = lru_cache(maxsize=3)(_prepare)
