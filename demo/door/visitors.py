"""Visitors: who listens to answers now, and how much each has asked for. Safe to call from any thread."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Visitors:
    """Sessions with an open stream of answers, and requests now under way by address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listening: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()

    @contextmanager
    def listens(self, session: str) -> Iterator[None]:
        """As long as the with-block, the session has somewhere to send answers to."""
        with _counted(self._lock, self._listening, session):
            yield

    def listening(self, session: str) -> bool:
        with self._lock:
            return self._listening[session] > 0

    @contextmanager
    def busy(self, address: str) -> Iterator[int]:
        """Counts a request under way; gives how many this address has, this one included."""
        with _counted(self._lock, self._busy, address) as number:
            yield number


@contextmanager
def _counted(lock: threading.Lock, counter: Counter[str], key: str) -> Iterator[int]:
    with lock:
        counter[key] += 1
        number = counter[key]
    try:
        yield number
    finally:
        with lock:
            counter[key] -= 1
            if not counter[key]:
                del counter[key]


def patience(asked: float, seconds: float) -> float:
    """How long somebody who asked at `asked` (time.monotonic) may still take to listen."""
    return max(0.0, asked + seconds - time.monotonic())
