"""Stop flags: how a user asks a run to stop. There is one flag for each session and tab while a run works.

Gradio closes a generator that it cancels, which then cannot send anything more. Ours is asked to stop
instead, and ends by itself with its last image, download and recipe.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StopFlags:
    """The flags of the runs that work now, by session and tab. It is safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flags: dict[tuple[str | None, str], threading.Event] = {}

    @contextmanager
    def run(self, session: str | None, tab: str) -> Iterator[threading.Event]:
        """Registers a run. Its flag is set when the user presses Stop or starts another run in this tab."""
        flag = threading.Event()
        with self._lock:
            if previous := self._flags.get((session, tab)):
                previous.set()
            self._flags[session, tab] = flag
        try:
            yield flag
        finally:
            with self._lock:
                if self._flags.get((session, tab)) is flag:
                    del self._flags[session, tab]

    def is_running(self, session: str | None, tab: str) -> bool:
        return (session, tab) in self._flags

    def stop(self, session: str | None, tab: str) -> None:
        """Asks the run of this session and tab to stop, if there is one."""
        with self._lock:
            if flag := self._flags.get((session, tab)):
                flag.set()


STOP_FLAGS = StopFlags()
