"""Open requests by address, and open streams by session. This module does not use Gradio.

Everything is counted in the server's event loop and so needs no lock. Only what is open is stored.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from demo.runs.limits import LIMITS

OPEN, OPEN_IN_ALL = 200, 1000  # requests of one address and of all, streams included; 40 pages need 120
STREAMS = 4  # of one session


def address(scope: Any) -> str:
    """The address that a request counts for: an IPv4 address, or the /64 network of an IPv6 address, because
    one customer has all of it. On a public host, the proxy in front writes it last in X-Forwarded-For."""
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
    """Counts open requests and streams. addresses: those of the sessions that are connected."""

    def __init__(self) -> None:
        self._requests, self._streams, self._listening = Counter[str](), Counter[str](), Counter[str]()
        self.addresses: dict[str, str] = {}

    @contextmanager
    def request(self, address: str) -> Iterator[None]:
        """Counts a request. Raises HTTPException where one address or all addresses have too many open."""
        if self._requests[address] >= OPEN or self._requests.total() >= OPEN_IN_ALL:
            raise HTTPException(429, "Too many requests are open. Wait a moment, then try again.")
        with _counted(self._requests, address):
            yield

    @contextmanager
    def stream(self, session: str, address: str, answers: bool) -> Iterator[None]:
        """Counts a stream: its session is connected while it is open. answers: whether it carries the
        answers of runs. Raises HTTPException."""
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
        """The session to evict: the first that is not connected, else the first of the address that has most
        of these sessions."""
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
