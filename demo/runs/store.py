"""Uploads and results on disk: how much each address holds, what is too old, and what makes way for new
files."""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from demo.runs.files import CACHE
from demo.runs.limits import LIMITS

log = logging.getLogger("nstlib.app")

OWNER = ContextVar("OWNER", default="")  # the address for which this thread or task works
KEPT = 7200.0  # seconds: older files go
YOUNG = 600.0  # seconds: a file that is younger never makes way for others
SWEEP_EVERY = 60.0  # seconds
BLOCK = 4096  # bytes: the smallest piece of disk space; a file's folder takes one too
NO_SPACE = "There is no disk space for more files at the moment. Try again in a few minutes."


def occupied(size: int) -> int:
    """The bytes that a file of `size` bytes and its folder take on disk."""
    return (-(-size // BLOCK) + 1) * BLOCK


def paths(value: Any) -> Iterator[str]:
    """Every path of a file in an answer."""
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        yield value["path"]
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from paths(item)


class Store:
    """The files below a folder, with their owners (addresses). It is safe to call from any thread.

    Args:
        folder: The folder; every file in it lies in a folder of its own.
        limit: How many bytes all files may take.
        share: How many bytes the files of one owner may take.
    """

    def __init__(self, folder: Path, limit: float, share: float) -> None:
        self.folder, self.limit, self.share = folder, limit, share
        self._lock = threading.RLock()
        self._files: dict[str, tuple[str, int, float]] = {}  # path → owner, bytes, time; the oldest first
        self._held: Counter[str] = Counter()  # owner → bytes, those reserved included
        self._gone: list[str] = []  # since the last sweep
        self._fixed: frozenset[str] = frozenset()

    def fix(self) -> None:
        """Keeps the files that are there now for ever, and counts them for nobody: those of the page
        itself."""
        self._fixed = frozenset(
            os.path.join(base, name) for base, _, names in os.walk(self.folder) for name in names
        )

    def held(self, owner: str | None = None) -> int:
        """The bytes that an owner's files take, or all files."""
        with self._lock:
            return self._held.total() if owner is None else self._held[owner]

    def reserve(self, owner: str, size: int = 0) -> bool:
        """Whether `size` more bytes of an owner fit; they are then reserved until `release`. Where they do
        not fit, the oldest files make way: the owner's own where its share is used up, else those of the
        owner who holds most."""
        with self._lock:
            for path, (whose, _, since) in list(self._files.items()):
                crowding = self._crowding(owner, size)
                if crowding is None or since > time.time() - YOUNG:
                    break
                if whose == crowding:
                    self._remove(path)
            fits = self._crowding(owner, size) is None
            self._held[owner] += size if fits else 0
            return fits

    def release(self, owner: str, size: int) -> None:
        """Ends a reservation."""
        with self._lock:
            self._held[owner] -= size

    def _crowding(self, owner: str, size: int) -> str | None:
        """Whose files must make way before `size` more bytes of `owner` fit; None if they fit."""
        if self._held[owner] + size > self.share:
            return owner
        if self._held.total() + size > self.limit:
            return max(self._held, key=self._held.__getitem__, default=owner)
        return None

    def add(self, path: str, owner: str) -> None:
        """Counts a new file. A file that is there already keeps its owner and becomes the youngest. A file
        of the page itself, and one that does not lie below the folder, is left alone."""
        path = os.path.abspath(path)
        if path in self._fixed or not path.startswith(os.path.join(self.folder, "")):
            return
        with self._lock:
            if path in self._files:
                whose, taken, _ = self._files.pop(path)
            else:
                try:
                    whose, taken = owner, occupied(os.path.getsize(path))
                except OSError:  # it is gone already
                    return
                self._held[whose] += taken
            self._files[path] = (whose, taken, time.time())

    def sweep(self) -> list[str]:
        """Removes files that are too old, and empty folders; finds files that nobody counted. Returns the
        paths of the files that are gone."""
        found: dict[str, os.stat_result] = {}
        for base, _, names in os.walk(self.folder, topdown=False):
            for path in (os.path.join(base, name) for name in names):
                try:
                    found[path] = os.lstat(path)
                except OSError:
                    continue
            if base != str(self.folder):
                _remove_folder(base, SWEEP_EVERY)
        with self._lock:
            for path in [path for path in self._files if path not in found and not os.path.lexists(path)]:
                self._forget(path)
            for path, status in found.items():
                if path not in self._files and path not in self._fixed:
                    self._files[path] = ("", occupied(status.st_size), status.st_mtime)
                    self._held[""] += self._files[path][1]
            for path, (_, _, since) in list(self._files.items()):
                if since < time.time() - KEPT:
                    self._remove(path)
            self._held = +self._held  # without the owners who hold nothing
            gone, self._gone = self._gone, []
            return gone

    def _remove(self, path: str) -> None:
        try:
            os.remove(path)
        except FileNotFoundError:
            pass
        except OSError as error:  # it stays, and stays counted
            log.error("a file could not be removed: %s", error)
            return
        _remove_folder(os.path.dirname(path))
        self._forget(path)

    def _forget(self, path: str) -> None:
        whose, taken, _ = self._files.pop(path)
        self._held[whose] -= taken
        self._gone.append(path)

    def keep_clean(self, gone: Callable[[list[str]], None], stop: threading.Event) -> None:
        """Sweeps again and again, whatever goes wrong, until `stop` is set. gone: is told of removed
        files."""
        while not stop.wait(SWEEP_EVERY):
            try:
                gone(self.sweep())
            except Exception as error:
                log.error("the sweep of the upload folder failed, and goes on: %s", error)


def _remove_folder(path: str, age: float = 0.0) -> None:
    """Removes a folder that is empty and at least `age` seconds old."""
    try:
        if os.stat(path).st_mtime <= time.time() - age:
            os.rmdir(path)
    except OSError:  # it is not empty, or gone
        pass


STORE = Store(CACHE, LIMITS.store, LIMITS.store / 2 if LIMITS.public else LIMITS.store)
