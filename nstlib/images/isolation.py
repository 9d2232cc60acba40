"""Decodes image files of untrusted clients in child processes, with limits on time and memory.

`isolate()` turns this on for the whole process. A child process that exceeds a limit is killed and replaced.
By default, two child processes decode the files, with half a second for each file. A file that takes longer
goes to one more child process, so that slow files delay only each other.
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
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nstlib.images.decoding import answer
from nstlib.images.opening import (
    CostlyImageError,
    DecoderBusyError,
    ImageError,
    Source,
    name_of,
    read_whole,
)

TRY_SECONDS = 0.5  # seconds of CPU time, which are enough for nearly every file
LONGEST = 3600  # seconds: highest time limit that `isolate` accepts
WALL = 10  # clock seconds allowed per CPU second, because a machine may be busy and a child may hang
PATIENCE = 60.0  # seconds to wait for a free child process
AGAIN = "save it again as JPEG or PNG with an image editor"
# Empty packages replace nstlib and nstlib.images, so that a child imports no torch.
START = """import sys, types
for name, folder in zip(("nstlib", "nstlib.images"), sys.argv[1:]):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
from nstlib.images.decoding import serve
serve()"""
FOLDER = Path(__file__).parent
COMMAND = [sys.executable, "-P", "-c", START, str(FOLDER.parent), str(FOLDER)]
# Threads and their arenas take address space, which the limit on memory counts.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class _TooSlow(Exception):
    """A child process used up its time."""


class _Child:
    """A child process. It starts when it is needed and is not running."""

    process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Returns the running process. Ctrl-C does not reach it, and it ends when its stdin closes."""
        if self.process is None or self.process.poll() is not None:
            pipe, null, environment = subprocess.PIPE, subprocess.DEVNULL, os.environ | ONE_THREAD
            self.process = subprocess.Popen(
                COMMAND, stdin=pipe, stdout=pipe, stderr=null, env=environment, start_new_session=True
            )
        return self.process

    def stop(self) -> int:
        """Ends the process and returns its exit code."""
        if (process := self.process) is None:
            return 0
        process.kill()
        process.communicate()
        self.process = None
        return process.returncode

    def replace(self) -> int:
        """Ends the process, starts the next one and returns the exit code."""
        code = self.stop()
        with contextlib.suppress(OSError):
            self.start()
        return code

    def ask(self, question: dict[str, Any], data: bytes) -> tuple[Any, list[str]]:
        """Returns the result of `decoding.answer` in the child. Raises _TooSlow, or what the child raised."""
        process, arguments = self.start(), question["arguments"]
        assert process.stdin and process.stdout
        late = threading.Timer(WALL * question["seconds"], process.kill)
        late.daemon = True
        late.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(question).encode() + b"\n" + data)
                process.stdin.flush()
            said = json.loads(process.stdout.readline(1 << 20))  # empty if the child died
            if "shape" in said:
                said["value"] = _empty(said["shape"], arguments)
                if process.stdout.readinto(said["value"].data) < said["value"].size:  # type: ignore[attr-defined]
                    raise EOFError("the child died")
        except BaseException as error:  # even at Ctrl-C: otherwise, the next question would get this answer
            in_time, code = late.is_alive(), self.replace()
            if not isinstance(error, Exception) or isinstance(error, MemoryError):
                raise
            if not in_time or code == -getattr(signal, "SIGPROF", 0):
                raise _TooSlow from None
            what = f"cannot read {arguments['name']} as an image"
            raise ImageError(f"{what}: its decoder crashed (code {code}); {AGAIN}") from None
        finally:
            late.cancel()
        if said.get("error") == "MemoryError":
            self.replace()
            most = f"{question['memory'] / 1e6:.0f} MB of memory beyond its pixels"
            raise CostlyImageError(f"{arguments['name']} takes more than {most} to decode; {AGAIN}")
        if "error" in said:
            known = FileNotFoundError if said["error"] == "FileNotFoundError" else ImageError
            raise known(said["message"])
        return said["value"], said["notes"]


def _empty(shape: list[int], arguments: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Returns an uninitialised array of the shape that a child process announces.

    Raises ValueError if an answer to the question cannot have this shape.
    """
    height, width, channels = map(int, shape)
    most = arguments["max_pixels"] if arguments["size"] is None else arguments["size"] ** 2
    if channels != 3 or min(height, width) < 1 or height * width > most:
        raise ValueError(f"impossible shape {shape}")
    return np.empty((height, width, channels), np.uint8)


class _Pool:
    """Lanes (limit of CPU seconds, free child processes). A file that is too slow goes to the next lane."""

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
        for time, free in self.lanes:
            try:
                child = free.get(timeout=PATIENCE)
            except queue.Empty:
                raise DecoderBusyError(
                    "too many images are being decoded now; try again in a moment"
                ) from None
            try:
                return child.ask(question | {"seconds": time, "memory": self.limits[1]}, data)
            except _TooSlow:
                continue
            finally:
                free.put(child)
        name = question["arguments"]["name"]
        raise CostlyImageError(f"{name} takes more than {self.limits[0]:g} s to decode; {AGAIN}")

    def close(self) -> None:
        """Stops the child processes that are free."""
        for _, free in self.lanes:
            while not free.empty():
                free.get().stop()


_pool: _Pool | None = None
_parents: list[_Pool | None] = []  # after a fork: pools of the parent processes, which close them


def isolate(*, seconds: float = 6.0, memory: int = 400_000_000, workers: int = 2) -> None:
    """Makes this process decode image files in child processes from now on, within time and memory limits.

    Args:
        seconds: CPU time that one file may take.
        memory: bytes that one file may take in addition to its pixels. Only Linux enforces this limit.
        workers: number of child processes, besides the one for slow files. 0: decode in this process again.

    Raises: ValueError for a limit out of range. Afterwards, reading a file over a limit raises
        CostlyImageError, and reading a file while no child process is free for a minute raises
        DecoderBusyError. Pillow images are always decoded in this process.
    """
    global _pool
    if not 0 < seconds <= LONGEST or not 0 < memory < math.inf or workers < 0:
        raise ValueError(
            f"limits must be positive (seconds: at most {LONGEST}), got {seconds=}, {memory=}, {workers=}"
        )
    old, _pool = _pool, _Pool(seconds, int(memory), workers) if workers else None
    if old is not None:
        old.close()


def ask(what: str, source: Source, **options: Any) -> Any:
    """Returns the value of `decoding.answer` and gives its notes as warnings.

    After `isolate`, a child process calls `answer`.
    """
    arguments = {"what": what, "name": name_of(source), **options}
    if _pool is None or isinstance(source, Image.Image):
        value, notes = answer(source=source, **arguments)
    else:
        if isinstance(source, str | os.PathLike):
            path, data = os.path.abspath(source), b""
        else:
            path, data = None, read_whole(source, arguments["name"])
        question = {"path": path, "bytes": len(data), "arguments": arguments}
        value, notes = _pool.ask(question, data)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=4)
    return value


def _after_fork() -> None:
    global _pool
    _parents.append(_pool)
    _pool = _pool and _Pool(*_pool.limits)


atexit.register(isolate, workers=0)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
