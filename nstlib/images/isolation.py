"""Decoding in child processes with limits on time and memory, for files of untrusted clients.

`isolate()` turns it on for all of this process. A file that takes too much costs a child process, which is
killed and replaced. Two children try every file for half a second; what takes longer goes to a third, so that
slow files hold up each other and nobody else.
"""

import atexit
import contextlib
import json
import math
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nstlib.images.decoding import QUESTIONS
from nstlib.images.opening import ImageError, name_of, read_whole

TRY_SECONDS = 0.5  # of a core: what nearly every file needs less than
LONGEST = 3600  # seconds that one file may be given
WALL = 10  # times the seconds of a core, by the clock: for a busy machine, and for a child that only waits
PATIENCE = 60.0  # seconds to wait for a free child
AGAIN = "save it again as JPEG or PNG with an image editor"
# The packages are stood in for, so that they import no torch.
START = """import sys, types
for name, folder in zip(("nstlib", "nstlib.images"), sys.argv[1:]):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [folder]
from nstlib.images.worker import serve
serve()"""
FOLDER = Path(__file__).parent
COMMAND = ["-P", "-c", START, str(FOLDER.parent), str(FOLDER)]
# Threads and their arenas take address space, which the limit on memory counts.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class _TooSlow(Exception):
    """A child process used up its time."""


class _Child:
    """A child process, started when it is first needed and again after it died."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """The living process. Its own session keeps Ctrl-C from it; it ends when its stdin closes."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, *COMMAND],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | ONE_THREAD,
                start_new_session=True,
            )
        return self.process

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def ask(self, question: dict[str, Any], data: bytes, seconds: float) -> tuple[Any, list[str]]:
        """The answer. Raises _TooSlow, or what the child raised; then a new child takes its place."""
        process, answered = self.start(), False
        assert process.stdin and process.stdout
        late = threading.Timer(WALL * seconds, process.kill)
        late.daemon = True
        late.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(question | {"seconds": seconds}).encode() + b"\n" + data)
                process.stdin.flush()
            line = process.stdout.readline(1 << 20)
            if not line:
                raise _dead(process.wait(), late, question["name"])
            answer, value = json.loads(line), None
            if "shape" in answer:
                value = np.empty(_possible(answer["shape"], question["options"]), np.uint8)
                if process.stdout.readinto(value.data) < value.size:  # type: ignore[attr-defined]
                    raise _dead(process.wait(), late, question["name"])
            answered = answer.get("error") != "MemoryError"
        finally:
            late.cancel()
            if not answered:  # also after a Ctrl-C: the next one would get this answer
                self.stop()
                with contextlib.suppress(OSError):
                    self.start()
        if "error" in answer:
            raise _raised(answer, question)
        return answer.get("value", value), answer["notes"]


def _dead(code: int, late: threading.Timer, name: str) -> Exception:
    """Why a child died: it was killed by its own clock or by ours, or it crashed."""
    if code == -getattr(signal, "SIGPROF", 0) or not late.is_alive():
        return _TooSlow()
    return ImageError(f"cannot read {name} as an image: its decoder crashed (code {code}); {AGAIN}")


def _possible(shape: list[int], options: dict[str, Any]) -> tuple[int, int, int]:
    """The shape that a child says, if it is one that was asked for."""
    height, width, channels = map(int, shape)
    most = options["max_pixels"] if options["size"] is None else options["size"] ** 2
    if channels != 3 or min(height, width) < 1 or height * width > most:
        raise ImageError(f"a decoder answered with an impossible shape {shape}")
    return height, width, channels


def _raised(answer: dict[str, Any], question: dict[str, Any]) -> Exception:
    """The error that a child reports."""
    if answer["error"] == "MemoryError":
        most = f"{question['memory'] / 1e6:.0f} MB of memory beyond its pixels"
        return ImageError(f"{question['name']} takes more than {most} to decode; {AGAIN}")
    known = FileNotFoundError if answer["error"] == "FileNotFoundError" else ImageError
    return known(answer["words"])


class _Pool:
    """Lanes of children: (seconds of a core, its free children). A slow file goes to the next lane."""

    def __init__(self, seconds: float, memory: int, workers: int) -> None:
        self.limits = seconds, memory, workers
        self.lanes: list[tuple[float, queue.LifoQueue[_Child]]] = []
        counts = {TRY_SECONDS: workers, seconds: 1} if seconds > TRY_SECONDS else {seconds: workers}
        for time, count in counts.items():
            free: queue.LifoQueue[_Child] = queue.LifoQueue()
            for _ in range(count):
                free.put(_Child())
            self.lanes.append((time, free))

    def ask(self, question: dict[str, Any], data: bytes) -> tuple[Any, list[str]]:
        seconds, memory, _ = self.limits
        for time, free in self.lanes:
            try:
                child = free.get(timeout=PATIENCE)
            except queue.Empty:
                raise ImageError("too many images are being decoded now; try again in a moment") from None
            try:
                return child.ask(question | {"memory": memory}, data, time)
            except _TooSlow:
                continue
            finally:
                free.put(child)
        raise ImageError(f"{question['name']} takes more than {seconds:g} s to decode; {AGAIN}")

    def close(self) -> None:
        """Stops the children that are free."""
        for _, free in self.lanes:
            with contextlib.suppress(queue.Empty):
                while True:
                    free.get_nowait().stop()


_pool: _Pool | None = None
_parents: list[_Pool | None] = []  # of the process that this one was forked from: its pipes are not ours


def isolate(*, seconds: float = 6.0, memory: int = 400_000_000, workers: int = 2) -> None:
    """Decodes image files in child processes from now on, wherever this process reads one.

    Args:
        seconds: of a core that one file may take.
        memory: bytes that one file may take beyond what its pixels need; Linux alone keeps this limit.
        workers: children that work at the same time; 0 decodes in this process again.

    A file over a limit raises ImageError. Pillow images are decoded in this process in any case.
    """
    global _pool
    if not 0 < seconds <= LONGEST or not 0 < memory < math.inf or workers < 0:
        raise ValueError(
            f"limits must be positive (seconds: at most {LONGEST}), got {seconds=}, {memory=}, {workers=}"
        )
    old, _pool = _pool, _Pool(seconds, int(memory), workers) if workers else None
    if old is not None:
        old.close()


def ask(what: str, source: Any, **options: Any) -> tuple[Any, list[str]]:
    """The answer to one of `QUESTIONS` about a source, from a child process where `isolate` says so."""
    name, pool = name_of(source), _pool
    if pool is None or isinstance(source, Image.Image):
        return QUESTIONS[what](source, name, lambda pixels: None, **options)
    path, data = None, b""
    if isinstance(source, str | os.PathLike):
        path = os.path.abspath(source)
    else:
        data = read_whole(source, name)
    question = {"ask": what, "path": path, "bytes": len(data), "name": name, "options": options}
    return pool.ask(question, data)


def _forked() -> None:
    global _pool
    _parents.append(_pool)
    _pool = _pool and _Pool(*_pool.limits)


@atexit.register
def _ended() -> None:
    if _pool is not None:
        _pool.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
