"""Counts open requests by address, and open streams by session. This module does not use Gradio.

All counting happens in the server's event loop, so it needs no lock. Closed requests leave no entry.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from demo.runs.limits import LIMITS

OPEN, OPEN_IN_ALL = 200, 1000  # open requests of one address and in all, with streams; 40 pages need 120
STREAMS = 4  # at most, of one session


def address(scope: Any) -> str:
    """The address for which a request counts. IPv6 addresses count by their /64 network, because one customer
    owns a whole network. On a public host, the host's proxy puts the address last in X-Forwarded-For."""
    forwarded = Headers(scope=scope).getlist("x-forwarded-for") if LIMITS.public else []
    text = ",".join(forwarded).rpartition(",")[2].strip() or (scope.get("client") or ("?",))[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return str(text)[:64]
    if isinstance(found, ipaddress.IPv6Address) and not found.ipv4_mapped:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)


class Connections:
    """Counts open requests and streams. addresses: connected session → address."""

    def __init__(self) -> None:
        self._requests, self._streams, self._listening = Counter[str](), Counter[str](), Counter[str]()
        self.addresses: dict[str, str] = {}

    @contextmanager
    def request(self, address: str) -> Iterator[None]:
        """Counts an open request. Raises HTTPException if its address or all addresses have too many."""
        if self._requests[address] >= OPEN or self._requests.total() >= OPEN_IN_ALL:
            raise HTTPException(429, "Too many requests are open. Wait a moment, then try again.")
        with _counted(self._requests, address):
            yield

    @contextmanager
    def stream(self, session: str, address: str, answers: bool) -> Iterator[None]:
        """Counts an open stream. While it is open, its session is connected. answers: whether the stream
        carries the answers of runs. Raises HTTPException if the session has too many streams."""
        if self._streams[session] >= STREAMS:
            raise HTTPException(429, "This session has too many open streams. Reload the page.")
        self.addresses[session] = address
        try:
            with _counted(self._streams, session), _counted(self._listening, session if answers else ""):
                yield
        finally:
            if not self._streams[session]:
                del self.addresses[session]

    def evictable(self, sessions: list[str]) -> str:
        """Returns the session to evict: the first that is not connected. If all are connected, it is the
        first session of the address that has the most sessions."""
        known = [self.addresses.get(session) for session in sessions]  # None: not connected
        largest = None if None in known else Counter(known).most_common(1)[0][0]
        return sessions[known.index(largest)]

    def listening(self, session: str) -> bool:
        """Whether this session has a stream open for the answers of runs."""
        return bool(session) and self._listening[session] > 0


@contextmanager
def _counted(counter: Counter[str], key: str) -> Iterator[None]:
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]
