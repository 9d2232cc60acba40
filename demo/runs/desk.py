"""The desk where visitors ask a run to stop: one flag per visitor and room, gone when the run ends.

A generator that Gradio cancels is closed at once and cannot say another word; ours is asked to stop
instead, and ends by itself with its last picture, download and recipe.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

Key = tuple[str, str]  # (session, room)


class Desk:
    """Stop flags of the runs now going on. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flags: dict[Key, threading.Event] = {}

    @contextmanager
    def run(self, session: str | None, room: str) -> Iterator[threading.Event]:
        """Registers a run; its flag is set when the visitor presses Stop, or starts another in this room."""
        key, flag = (session or "", room), threading.Event()
        with self._lock:
            if previous := self._flags.get(key):
                previous.set()
            self._flags[key] = flag
        try:
            yield flag
        finally:
            with self._lock:
                if self._flags.get(key) is flag:
                    del self._flags[key]

    def running(self, session: str | None, room: str) -> bool:
        """Whether the visitor has a run going on in this room."""
        with self._lock:
            return (session or "", room) in self._flags

    def stop(self, session: str | None, room: str | None = None) -> None:
        """Asks the visitor's run to stop (all of them without a room); nothing happens if there is none."""
        with self._lock:
            for (owner, place), flag in self._flags.items():
                if owner == (session or "") and room in (None, place):
                    flag.set()


DESK = Desk()
