"""A run as a stream of frames: pictures about once a second, numbers for every step. Knows no Gradio.

    Job ─► frames ─► Frame, Frame, … (the last one has `done`)

Frames hold plain arrays and numbers, so that they can cross from a GPU worker's process. A frame
without a picture is a heartbeat: it gives the caller a chance to stop between two pictures.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

import nstlib
from demo.runs.files import Pixels, read_picture
from demo.runs.gpu import ZERO, on_gpu
from demo.runs.masks import masks
from demo.runs.recipes import DETAIL, Recipe, named
from nstlib.synthesis.allocator import give_back

FIRST_PICTURE = 0.3  # seconds after the start
PICTURE_EVERY = 0.8
HEARTBEAT_EVERY = 0.15

Kind = Literal["transfer", "style", "content"]


@dataclass(frozen=True)
class Job:
    """One run: a transfer, or the reconstruction of a style or of a content from noise.

    content, style: files; a reconstruction needs only its own. layer: how many style layers, or which
    content layer. seconds: after which the run ends with what it has. second: another style of a transfer,
    mixed with the first as settings.style_weights say, or placed by `where` (see masks.py).
    """

    settings: nstlib.Settings
    content: str | None = None
    style: str | None = None
    kind: Kind = "transfer"
    layer: int | str | None = None
    seconds: float = 600.0
    picture_every: float = PICTURE_EVERY
    second: str | None = None
    where: str = ""

    @property
    def styles(self) -> tuple[str, ...]:
        return tuple(path for path in (self.style, self.second) if path)

    @property
    def region(self) -> str:
        """`where`, if there is a second style to be placed."""
        return self.where if self.second else ""

    @property
    def masks(self) -> tuple[torch.Tensor, ...]:
        return masks(self.region)

    def recipe(self, step: int = 0, detail: float = DETAIL) -> Recipe:
        """Of a transfer's picture after so many steps (0: of one pass)."""
        assert self.content
        styles = tuple(map(named, self.styles))
        return Recipe(self.settings, named(self.content), styles, self.region, detail, step=step)

    def steps(self, between: Callable[[], None]) -> Iterator[nstlib.Step]:
        """The run's steps; between is called where none comes for a while (see nstlib.transfer)."""
        settings = self.settings
        if self.kind == "style":
            assert self.style and isinstance(self.layer, int)
            return nstlib.reconstruct_style(self._load(self.style), self.layer, settings, between=between)
        assert self.content
        if self.kind == "content":
            assert isinstance(self.layer, str)
            return nstlib.reconstruct_content(self._load(self.content), self.layer, settings, between=between)
        content, styles = self.load()
        return nstlib.transfer(content, styles, settings, masks=self.masks, between=between)

    def load(self) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """A transfer's content and its styles."""
        assert self.content and self.style
        return self._load(self.content), [self._load(path) for path in self.styles]

    def _load(self, path: str) -> torch.Tensor:
        return read_picture(path, self.settings.size)


class TimeIsUp(Exception):
    """Raised inside a run that has taken its seconds."""


@dataclass(frozen=True)
class Frame:
    """What to show. terms: (step, {term: value}) for each step since the last frame. note: why a run
    ended before its last step. recipe: what makes the picture again (where there is a picture)."""

    index: int
    total: int
    seconds: float
    terms: list[tuple[int, dict[str, float]]]
    pixels: Pixels | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    done: bool = False
    note: str = ""
    failed: bool = False


def booking(job: Job) -> float:
    """Seconds of GPU to ask for: a generous guess from pixels × steps; less means a better place in line."""
    pixels = job.settings.size**2
    return min(job.seconds, 5 + job.settings.iterations * (0.01 + pixels * 1e-7)) + 5


@on_gpu(duration=booking)
def frames(job: Job) -> Iterator[Frame]:
    """The frames of a job. Raises what nstlib raises for bad pictures or settings."""

    def between() -> None:
        if time.perf_counter() - begun > job.seconds:
            raise TimeIsUp

    steps, step = job.steps(between), None
    begun = time.perf_counter()  # an encoder's first loading is not the visitor's time
    up = f"time is up: a run may take {job.seconds:g} s here"
    terms: list[tuple[int, dict[str, float]]] = []
    next_picture, next_beat = begun + FIRST_PICTURE, begun
    try:
        for step in steps:
            now = time.perf_counter()
            late = now - begun > job.seconds
            done = bool(step.stopped) or late or step.index >= step.total
            terms.append((step.index, step.terms))
            if not (done or now >= min(next_picture, next_beat)):
                continue
            note = step.stopped or (up if late else "")
            frame = Frame(
                step.index, step.total, now - begun, terms, done=done, note=note, failed=step.failed
            )
            yield _with_picture(frame, step) if done or now >= next_picture else frame
            terms = []
            if now >= next_picture:
                next_picture = time.perf_counter() + job.picture_every
            next_beat = time.perf_counter() + HEARTBEAT_EVERY
            if done:
                return
    except TimeIsUp:
        if step is None:
            raise ValueError(f"{up}, and the first step was not reached: choose a smaller size") from None
        frame = Frame(step.index, step.total, time.perf_counter() - begun, terms, done=True, note=up)
        yield _with_picture(frame, step)
    finally:
        close: Callable[[], None] = getattr(steps, "close", lambda: None)
        close()
        give_back()


def _with_picture(frame: Frame, step: nstlib.Step) -> Frame:
    recipe = getattr(step.image, "recipe", {})
    return Frame(**{**vars(frame), "pixels": np.asarray(nstlib.to_pil(step.image)), "recipe": recipe})


def warm_up() -> None:
    """Loads the embedded encoder and takes one step, so that the first visitor does not wait for it.
    On ZeroGPU there is no GPU outside a run: it only loads."""
    nstlib.load_encoder()
    if ZERO:
        return
    image = torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    for _ in nstlib.transfer(image, image.flip(-1), iterations=2, levels=1):
        pass


def set_threads() -> None:
    """As many threads as this process may use cores, unless OMP_NUM_THREADS says otherwise."""
    if "OMP_NUM_THREADS" not in os.environ:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(max(1, cores))
