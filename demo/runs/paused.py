"""Keeps the last few paused runs of all sessions, with their images so far, until users press Continue."""

import threading
from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass, field

from demo.runs.animation import Animation
from demo.runs.engine import Frame, Job, Terms, frames
from demo.runs.gpu import ZERO

KEPT = 4  # paused runs: each holds the memory of its optimiser


@dataclass(eq=False)
class Work:
    """A run with the terms and images that it has given so far."""

    job: Job
    run: Generator[Frame]
    terms: Terms = field(default_factory=list)
    animation: Animation = field(default_factory=Animation)


class PausedRuns:
    """The paused runs of all sessions. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[str | None, Work] = OrderedDict()

    def take(self, session: str | None, job: Job) -> Work:
        """Returns the paused run of this session if it has the same job, else a new run."""
        with self._lock:
            paused = self._runs.pop(session, None)
        if paused and paused.job == job:
            return paused
        if paused:
            paused.run.close()
        return Work(job, frames(job))

    def keep(self, session: str | None, work: Work) -> bool:
        """Keeps a run for Continue, and returns whether that is possible. It is not possible on ZeroGPU,
        because the worker process ends with the event."""
        if ZERO:
            work.run.close()
            return False
        with self._lock:
            self._runs[session] = work
            dropped = [self._runs.popitem(last=False)[1] for _ in range(len(self._runs) - KEPT)]
        for old in dropped:
            old.run.close()
        return True


PAUSED = PausedRuns()
