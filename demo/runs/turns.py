"""Fair turns: addresses take turns, and so do the sessions of one address. This module does not use Gradio.

A lane runs in one event loop, so it needs no lock. It stores only open requests.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request

PATIENCE = 60.0  # seconds that a request waits for its turn
MOST = 2000  # addresses and sessions whose last turn is stored
BUSY = "Many people use this page at the moment. Try again in a minute."
REPLACED = "A newer change of yours has replaced this one."
T = TypeVar("T")
Who = tuple[str, ...]  # address, session


class Turns:
    """Stores the order of past turns, and sorts waiting requests by it."""

    def __init__(self) -> None:
        self._count = 0
        self._last: dict[Who, int] = {}  # the number of the last turn

    def sort(self, waiting: list[T], who: Callable[[T], Who]) -> None:
        """Sorts requests so that addresses take turns, and so do the sessions of each address. Of two
        addresses or sessions, the one with the earlier last turn comes first."""
        for length in (2, 1):  # first by (address, session), then by (address,)
            seen, places = Counter[Who](), dict[int, tuple[int, int]]()
            for one in waiting:
                owner = who(one)[:length]
                seen[owner] += 1
                places[id(one)] = (seen[owner], self._last.get(owner, 0))
            waiting.sort(key=lambda one: places[id(one)])

    def took(self, who: Who) -> None:
        """Stores that this address and session have had a turn."""
        self._count += 1
        for owner in (who, who[:1]):
            self._last.pop(owner, None)
            self._last[owner] = self._count
        while len(self._last) > MOST:  # the oldest are removed
            del self._last[next(iter(self._last))]


@dataclass(eq=False)
class Ticket:
    """A request in a lane. It replaces waiting requests of its session with the same number `replaces`."""

    who: Who
    replaces: int | None = None
    ready: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Lane:
    """Lets `places` requests work at a time, at most `each` of one address. The others wait."""

    def __init__(self, places: int, each: int | None = None) -> None:
        self.places, self.each = places, each or places
        self._turns, self._waiting, self._working = Turns(), list[Ticket](), set[Ticket]()

    @asynccontextmanager
    async def turn(self, ticket: Ticket, gone: Callable[[], Awaitable[Any]]) -> AsyncIterator[None]:
        """Waits for a turn. gone: returns when the client has left. Raises HTTPException if the client has
        left, or if the request waited too long or was replaced by a newer one."""
        for old in self._waiting:
            if ticket.replaces is not None and (old.who, old.replaces) == (ticket.who, ticket.replaces):
                old.ready.set_exception(HTTPException(409, REPLACED))
        self._waiting = [old for old in self._waiting if not old.ready.done()] + [ticket]
        try:
            self._admit()
            if not ticket.ready.done():
                left = asyncio.ensure_future(gone())
                await asyncio.wait(
                    (ticket.ready, left), timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
                )
                left.cancel()
            if not ticket.ready.done():
                raise HTTPException(503, BUSY)
            ticket.ready.result()
            yield
        finally:
            self._waiting = [other for other in self._waiting if other is not ticket]
            self._working.discard(ticket)
            self._admit()

    async def serve(self, ticket: Ticket, app: Any, request: Request, receive: Any, send: Any) -> None:
        """Waits for the request's turn and passes it to an ASGI application. The turn ends when the answer
        starts, so that a client that reads slowly takes no place."""

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        async with AsyncExitStack() as held:
            await held.enter_async_context(self.turn(ticket, gone))

            async def leave(message: Any) -> None:
                await held.aclose()
                await send(message)

            await app(request.scope, receive, leave)

    def _admit(self) -> None:
        while len(self._working) < self.places:
            busy = Counter(ticket.who[0] for ticket in self._working)
            admissible = [ticket for ticket in self._waiting if busy[ticket.who[0]] < self.each]
            if not admissible:
                break
            self._turns.sort(admissible, lambda ticket: ticket.who)
            ticket = admissible[0]
            self._waiting.remove(ticket)
            self._working.add(ticket)
            self._turns.took(ticket.who)
            ticket.ready.set_result(None)
