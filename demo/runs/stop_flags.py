"""Stop flags: how a user asks a run to stop. There is one flag for each session and tab while a run works.

When Gradio cancels an event, it closes the generator, which then cannot send anything more. So this app only
sets a flag. The run reads the flag and ends by itself with its last image, download and recipe.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Flag:
    """Says whether a run should stop, and whether it has ended.

    Args:
        asked: The recipe that the run works on. While the controls ask for the same recipe, the run goes on.
        replaced: Whether a change of the settings has ended the run, so that its image is not shown.
    """

    session: str | None
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    asked: Any = None
    replaced: bool = False


class StopFlags:
    """The flags of the runs that work now, by session and tab. Any thread may call the methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flags: dict[tuple[str | None, str], Flag] = {}

    @contextmanager
    def run(self, session: str | None, tab: str) -> Iterator[Flag]:
        """Registers a run. Its flag is set when the user presses Stop or starts another run in this tab."""
        flag = Flag(session)
        with self._lock:
            if previous := self._flags.get((session, tab)):
                previous.stop.set()
            self._flags[session, tab] = flag
        try:
            yield flag
        finally:
            flag.ended.set()
            with self._lock:
                if self._flags.get((session, tab)) is flag:
                    del self._flags[session, tab]

    def find(self, session: str | None, tab: str) -> Flag | None:
        """The flag of the run of this session and tab, if there is one."""
        return self._flags.get((session, tab))

    def stop(self, session: str | None, tab: str, replaced: bool = False) -> Flag | None:
        """Asks the run of this session and tab to stop, and returns its flag."""
        with self._lock:
            if flag := self._flags.get((session, tab)):
                flag.replaced = flag.replaced or replaced
                flag.stop.set()
            return flag

    def replace(self, session: str | None, tab: str) -> None:
        """Ends the run of this session and tab, and waits until its last update is sent (2 s at most)."""
        if flag := self.stop(session, tab, replaced=True):
            flag.ended.wait(2)


STOP_FLAGS = StopFlags()
