"""Counts the disk space of uploads and results by address, and removes old files to make space."""

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
KEPT = 7200.0  # seconds: older files are removed
YOUNG = 600.0  # seconds: younger files are never removed to make space
SWEEP_EVERY = 60.0  # seconds
BLOCK = 4096  # bytes: the smallest unit of disk space; a file's folder takes one unit, too
DEEPEST = 12  # levels of lists and dictionaries in a value
NO_SPACE = "There is no disk space for more files at the moment. Try again in a few minutes."


def occupied(size: int) -> int:
    """The bytes that a file of `size` bytes and its folder take on disk."""
    return (-(-size // BLOCK) + 1) * BLOCK


def files_in(value: Any, level: int = 0) -> Iterator[dict[str, Any]]:
    """Yields every dictionary in a value that names a file by path or URL. Raises ValueError if the value is
    nested too deeply."""
    if level > DEEPEST:
        raise ValueError("the value is nested too deeply")
    if isinstance(value, dict) and value.keys() & {"path", "url"}:
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from files_in(item, level + 1)


class Store:
    """The files below a folder, with their owners (addresses). Any thread may call it.

    Args:
        folder: The folder. Each file lies in a separate subfolder.
        limit: The bytes that all files may take.
        share: The bytes that the files of one owner may take.
    """

    def __init__(self, folder: Path, limit: float, share: float) -> None:
        self.folder, self.limit, self.share = folder, limit, share
        self._lock = threading.RLock()
        self._files: dict[str, tuple[str, int, float]] = {}  # path → owner, bytes, time; the oldest first
        self._held: Counter[str] = Counter()  # owner → bytes, with reserved ones
        self._gone: list[str] = []  # paths removed since the last sweep
        self._protected: frozenset[str] = frozenset()

    def protect_present(self) -> None:
        """Protects the files that exist now from removal. They belong to the page, and count for no owner."""
        self._protected = frozenset(
            os.path.join(base, name) for base, _, names in os.walk(self.folder) for name in names
        )

    def held(self, owner: str | None = None) -> int:
        """The bytes that an owner's files and reservations take; None: those of all owners."""
        with self._lock:
            return self._held.total() if owner is None else self._held[owner]

    def reserve(self, owner: str, size: int = 0) -> bool:
        """Reserves `size` bytes for an owner until `release`, and returns whether they fit. To make space, it
        removes the oldest files: the owner's own if its share is used up, else those of the owner who
        holds the most."""
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
        """The owner whose files must be removed until `size` more bytes of `owner` fit; None if they fit."""
        if self._held[owner] + size > self.share:
            return owner
        if self._held.total() + size > self.limit:
            return max(self._held, key=self._held.__getitem__, default=owner)
        return None

    def add(self, path: str, owner: str) -> None:
        """Counts a new file. A known file keeps its owner and becomes the youngest. Ignores protected files
        and files outside the folder."""
        path = os.path.abspath(path)
        if path in self._protected or not path.startswith(os.path.join(self.folder, "")):
            return
        with self._lock:
            if path in self._files:
                whose, taken, _ = self._files.pop(path)
            else:
                try:
                    whose, taken = owner, occupied(os.path.getsize(path))
                except OSError:  # it was removed
                    return
                self._held[whose] += taken
            self._files[path] = (whose, taken, time.time())

    def sweep(self) -> list[str]:
        """Removes old files and empty folders, and counts files that were never added. Returns the paths of
        all files that were removed since the last sweep."""
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
                if path not in self._files and path not in self._protected:
                    self._files[path] = ("", occupied(status.st_size), status.st_mtime)
                    self._held[""] += self._files[path][1]
            for path, (_, _, since) in list(self._files.items()):
                if since < time.time() - KEPT:
                    self._remove(path)
            self._held = +self._held  # without owners that hold nothing
            gone, self._gone = self._gone, []
            return gone

    def _remove(self, path: str) -> None:
        try:
            os.remove(path)
        except FileNotFoundError:
            pass
        except OSError as error:  # the file still takes space, so it still counts
            log.error("a file could not be removed: %s", error)
            return
        _remove_folder(os.path.dirname(path))
        self._forget(path)

    def _forget(self, path: str) -> None:
        whose, taken, _ = self._files.pop(path)
        self._held[whose] -= taken
        self._gone.append(path)

    def keep_clean(self, gone: Callable[[list[str]], None]) -> None:
        """Sweeps every minute for ever, also after errors. gone: receives the paths of removed files."""
        while True:
            time.sleep(SWEEP_EVERY)
            try:
                gone(self.sweep())
            except Exception as error:
                log.error("the sweep of the upload folder failed, and goes on: %s", error)


def _remove_folder(path: str, age: float = 0.0) -> None:
    """Removes a folder that is empty and at least `age` seconds old."""
    try:
        if os.stat(path).st_mtime <= time.time() - age:
            os.rmdir(path)
    except OSError:  # the folder is not empty, or does not exist
        pass


STORE = Store(CACHE, LIMITS.store, LIMITS.store / 2 if LIMITS.public else LIMITS.store)
