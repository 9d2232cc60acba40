"""A run as a stream of frames: an image about once a second, numbers for every step.

    Job ─► frames ─► Frame, Frame, … (the last one has `done`)

Frames hold plain arrays and numbers, because on ZeroGPU they come from another process. A frame without an
image lets the caller stop the run between two images.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch

import nstlib
from demo.runs.files import Pixels, load_input
from demo.runs.gpu import ZERO, on_gpu
from demo.runs.limits import LIMITS
from demo.runs.masks import masks
from demo.runs.recipes import Recipe, identify
from nstlib.synthesis.allocator import give_back

FIRST_IMAGE = 0.3  # seconds after the start
IMAGE_EVERY = 0.8  # seconds
SETTLED = 3.0  # seconds that a run with the preset "draft" should take, at the size that a page opens with
SMALLEST, LARGEST = 384, 512  # px, bounds of that size: on smaller images, faces lose their eyes
FRAME_EVERY = 0.3  # seconds: one frame delays the run by 20 ms on two cores that also run the browser

Terms = list[tuple[int, dict[str, float]]]  # (step, {term: value})


@dataclass(frozen=True)
class Job:
    """One run: a transfer, or the reconstruction of a style or of a content from noise.

    Args:
        content, style, second: Files. A reconstruction needs only the one that it reconstructs.
        layer: For a reconstruction: the number of style layers, or the name of the content layer.
        seconds: After this time the run ends with its last image.
        where: The region of the second style (see masks.py); "" mixes by `settings.style_weights`.
    """

    settings: nstlib.Settings
    content: str | None = None
    style: str | None = None
    kind: Literal["transfer", "style", "content"] = "transfer"
    layer: int | str | None = None
    seconds: float = LIMITS.seconds
    second: str | None = None
    where: str = ""

    @property
    def styles(self) -> tuple[str, ...]:
        return tuple(path for path in (self.style, self.second) if path)

    @property
    def region(self) -> str:
        return self.where if self.second else ""

    def recipe(self, step: int = 0) -> Recipe:
        """The recipe of a transfer's image after `step` steps (0: of one pass)."""
        assert self.content
        styles = tuple(map(identify, self.styles))
        return Recipe(self.settings, identify(self.content), styles, self.region, step=step)

    def steps(self, check_cancel: Callable[[], None]) -> Iterator[nstlib.Step]:
        """The run's steps. nstlib calls `check_cancel` while it measures gradients and yields no step."""
        if self.kind == "style":
            (style,) = self._load(self.style)
            return nstlib.reconstruct_style(style, self.layer, self.settings, check_cancel=check_cancel)
        (content,) = self._load(self.content)
        if self.kind == "content":
            return nstlib.reconstruct_content(content, self.layer, self.settings, check_cancel=check_cancel)
        styles = self._load(*self.styles)
        return nstlib.transfer(
            content, styles, self.settings, masks=masks(self.region), check_cancel=check_cancel
        )

    def _load(self, *paths: str | None) -> list[torch.Tensor]:
        return [load_input(path, self.settings.size) for path in paths if path]


class TimeIsUp(Exception):
    """Raised inside a run that has used all its time."""


@dataclass(frozen=True)
class Frame:
    """Step `index` of `total` of a run.

    Args:
        share: The fraction of the run's work that is done, 0 … 1.
        terms: The terms of every step since the last frame.
        pixels, recipe: The image (H, W, 3) and its nstlib recipe. Only some frames have them.
        note: Why the run ended before its last step.
    """

    index: int
    total: int
    seconds: float
    terms: Terms
    share: float = 0.0
    pixels: Pixels | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    done: bool = False
    note: str = ""
    failed: bool = False


def booking(job: Job) -> float:
    """The seconds to book a GPU, estimated generously. A shorter booking gets a better place in the queue."""
    return min(job.seconds, 5 + job.settings.iterations * (0.01 + job.settings.size**2 * 1e-7)) + 5


@on_gpu(duration=booking)
def frames(job: Job) -> Iterator[Frame]:
    """Runs a job and yields its frames. Raises the errors of nstlib for unusable images or settings."""

    def check_time() -> None:
        if time.perf_counter() - begun > job.seconds:
            raise TimeIsUp

    def frame(with_image: bool, note: str = "", done: bool = False) -> Frame:
        assert step
        seconds, share = time.perf_counter() - begun, step.seconds / (step.seconds + step.remaining)
        found = Frame(step.index, step.total, seconds, terms, share, done=done, note=note, failed=step.failed)
        if not with_image:
            return found
        recipe = getattr(step.image, "recipe", {})
        return replace(found, pixels=np.asarray(nstlib.to_pil(step.image)), recipe=recipe)

    steps: Any = job.steps(check_time)
    begun = time.perf_counter()  # the time to load an encoder does not count
    step, terms, next_image, next_frame = None, [], begun + FIRST_IMAGE, begun
    try:
        for step in steps:
            terms.append((step.index, step.terms))
            if step.stopped or step.index >= step.total:
                yield frame(True, step.stopped or "", done=True)
                return
            check_time()
            now = time.perf_counter()
            if now >= min(next_image, next_frame):
                yield frame(now >= next_image)
                begun += time.perf_counter() - now  # a pause, at the yield, does not count
                terms = []
                if now >= next_image:
                    next_image = time.perf_counter() + IMAGE_EVERY
                next_frame = time.perf_counter() + FRAME_EVERY
    except TimeIsUp:
        note = f"time is up: a run may take {job.seconds:g} s here"
        if step is None:
            raise ValueError(f"{note}, and the first step takes longer: choose a smaller size") from None
        yield frame(True, note, done=True)
    finally:
        if hasattr(steps, "close"):
            steps.close()
        give_back()


def warm_up() -> None:
    """Loads the embedded encoder and takes a few steps, so that the first user does not wait.

    On ZeroGPU it only loads the encoder, because there is no GPU outside a run.
    """
    nstlib.load_encoder()
    if not ZERO:
        first_size()


@lru_cache(maxsize=1)
def first_size() -> int:
    """The size that a page opens with, at which a run with "draft" takes about `SETTLED` seconds. NSTLIB_SIZE
    fixes it; otherwise a short run at a small size measures the speed once."""
    if LIMITS.first or ZERO:
        return min(LIMITS.first or LARGEST, LIMITS.size)
    side = 192
    image = torch.linspace(0, 1, 3 * side * side).reshape(1, 3, side, side)
    times = [time.perf_counter() for _ in nstlib.transfer(image, image.flip(-1), iterations=6, levels=1)]
    one_step = (times[-1] - times[1]) / 4
    fitting = side * (SETTLED / (22 * one_step)) ** 0.5  # "draft" costs as much as 22 steps at full size
    return int(min(max(fitting, SMALLEST), LARGEST, LIMITS.size)) // 32 * 32


def set_threads() -> None:
    """Lets torch use one thread for each core that this process may use, unless OMP_NUM_THREADS is set."""
    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(max(1, cores))
