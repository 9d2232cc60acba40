"""The page's Blocks, its queue and its sessions: every use of Gradio's private attributes is in this file.

tests/attack/test_gradio.py checks them. A public host does not start on a version that is not in TESTED.
"""

import logging
import math
import os
import sys
import threading
import time
from collections import Counter
from typing import Any

import gradio as gr
from fastapi import HTTPException
from gradio.queueing import Event, Queue
from gradio.state_holder import StateHolder

from demo.door.house import brief, check_plain, own_file
from demo.runs.connections import Connections
from demo.runs.files import CACHE
from demo.runs.limits import LIMITS
from demo.runs.store import NO_SPACE, OWNER, STORE, paths
from demo.runs.turns import Turns, Who

log = logging.getLogger("nstlib.app")

TESTED = ("6.31.0",)
ADDRESS = "nstlib.address"  # in a request's ASGI scope
RUNS = 2  # of one session, waiting or going on
LISTEN_SECONDS = 10.0  # a run whose client has not asked for its answers by then is dropped
FILES = gr.Image | gr.ImageSlider | gr.Gallery | gr.File | gr.DownloadButton


def check_version(version: str = gr.__version__, public: bool = LIMITS.public) -> None:
    """Ends the program on a public host with a version of Gradio that was not tested. Warns elsewhere."""
    if version in TESTED:
        return
    words = f"Gradio {version} was not tested with this app's guard; tested is {', '.join(TESTED)}"
    if public and os.environ.get("NSTLIB_UNTESTED_GRADIO") != "1":
        sys.exit(f"{words}. Install that version, or set NSTLIB_UNTESTED_GRADIO=1 to start all the same.")
    log.warning("%s.", words)


def makes_files(fn: Any) -> bool:
    """Whether the answer of an event may hold images or other files."""
    return any(isinstance(block, FILES) for block in fn.outputs)


def keep(path: str) -> str:
    """Copies a file to where Gradio serves it from, and returns the copy's path."""
    return str(gr.processing_utils.save_file_to_cache(path, str(CACHE)))


class FairQueue(Queue):
    """Gradio's queue, in which addresses take turns and a place is reserved before anything is awaited."""

    def __init__(self, plain: Queue) -> None:
        vars(self).update(vars(plain))
        self._turns, self._coming = Turns(), Counter[str]()

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        """Raises HTTPException where a session has runs enough, or the line is full."""
        self._sweep()
        events = self.event_ids_to_events.values()
        session, address = body.session_hash or "", request.scope.get(ADDRESS, "")
        if session and self._coming[session] + sum(e.session_hash == session for e in events) >= RUNS:
            raise HTTPException(429, f"You have {RUNS} runs already: stop one, or wait for it.")
        runs, waiting = Counter(_who(event)[0] for event in events), len(self) + self._coming.total()
        greedy = runs[address] * len({address, *runs}) >= runs.total() > 0  # has its share already
        if waiting >= LIMITS.queue or (waiting >= 0.75 * LIMITS.queue and greedy):
            raise HTTPException(503, "Too many runs are waiting. Try again in a minute.")
        self._coming[session] += 1
        try:
            return await super().push(body, request, username)
        finally:
            self._coming[session] -= 1
            self._coming = +self._coming
            self._sort()

    def get_events(self) -> Any:
        """The next run: of those that somebody listens to, or that have waited too long for a listener."""
        lines = self.event_queue_per_concurrency_id.values()  # it is one: see HEAVY in rooms/room.py
        free = [line for line in lines if line.current_concurrency < (line.concurrency_limit or math.inf)]
        if not any(self._is_due(event) for line in free for event in line.queue):
            return None
        self._sort()
        found = super().get_events()
        if found:
            self._turns.took(_who(found[0][0]))
        return found

    def _sort(self) -> None:
        for line in self.event_queue_per_concurrency_id.values():
            self._turns.sort(line.queue, _who)
            line.queue.sort(key=self._is_due, reverse=True)

    def _is_heard(self, event: Event) -> bool:
        return self.blocks.connections.listening(event.session_hash)

    def _is_late(self, event: Event) -> bool:
        return time.monotonic() > event.enqueue_time + LISTEN_SECONDS

    def _is_due(self, event: Event) -> bool:
        return self._is_heard(event) or self._is_late(event)

    def _sweep(self) -> None:
        """Drops runs that nobody listens to in time, and the unread messages of sessions that neither listen
        nor have a run: Gradio keeps 2000."""
        for line in self.event_queue_per_concurrency_id.values():
            for event in [
                event for event in line.queue if self._is_late(event) and not self._is_heard(event)
            ]:
                line.queue.remove(event)
                self.event_ids_to_events.pop(event._id, None)
        running = {event.session_hash for event in self.event_ids_to_events.values()}
        for session in list(self.pending_messages_per_session):
            if session not in running and not self.blocks.connections.listening(session):
                self.pending_messages_per_session.pop(session, None)
                self.pending_event_ids_session.pop(session, None)


def _who(event: Event) -> Who:
    return event.request.scope.get(ADDRESS, ""), event.session_hash


class ProtectedSessions(StateHolder):
    """Gradio's session state. Where there is too much of it, sessions that are not connected go first."""

    def update(self, session_id: str) -> None:
        with self.lock:
            if session_id in self.session_data:
                self.session_data.move_to_end(session_id)
            while len(self.session_data) > self.capacity:
                others = [session for session in self.session_data if session != session_id]
                forgotten = self.blocks.connections.dispensable(others)
                del self.session_data[forgotten]
                self.time_last_used.pop(forgotten, None)


class GuardedBlocks(gr.Blocks):
    """Blocks that trust no file and no value of a client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        check_version()
        self.connections, self.stopped = Connections(), threading.Event()
        super().__init__(*args, **kwargs)

    def queue(self, *args: Any, **kwargs: Any) -> "GuardedBlocks":
        super().queue(*args, **kwargs)
        self._queue = FairQueue(self._queue)
        return self

    def start_guard(self, app: Any) -> None:
        """Protects the sessions of Gradio's application, and starts to keep the folder of files clean."""
        STORE.fix()
        app.state_holder = ProtectedSessions()
        app.state_holder.set_blocks(self)
        threading.Thread(target=STORE.keep_clean, args=(self._forget, self.stopped), daemon=True).start()

    def _forget(self, gone: list[str]) -> None:
        """Gradio keeps a list of all the files it ever made, for a cleaner of its own that is off here."""
        for known in self.temp_file_sets:
            known.difference_update(gone)

    def event(self, number: int | None, name: str | None) -> tuple[bool, int | None] | None:
        """(Whether an event makes files, its number if only a session's newest counts), or None."""
        named = (fn for fn in self.fns.values() if fn.api_name == name)
        fn = next(named, None) if number is None else self.fns.get(number)
        if fn is None or not fn.fn:  # one without a function is the browser's alone
            return None
        return makes_files(fn), fn._id if fn.trigger_mode == "always_last" else None

    def listener(self, event: str | None, session: str | None) -> str | None:
        """The session that hears of an event, or the session given. None if it has asked for nothing."""
        known = self._queue.event_ids_to_events.get(event or "")
        session = known.session_hash if known else event or session
        return session if event or session in self._queue.pending_messages_per_session else None

    async def process_api(self, block_fn: Any, inputs: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As Gradio's. A client reads no raw error, and the log gets a line instead of a page."""
        request = getattr(kwargs.get("request"), "request", None)
        OWNER.set(request.scope.get(ADDRESS, "") if request else "")
        try:
            if kwargs.get("iterator") is None:
                self._check_start(block_fn, kwargs.get("session_hash"), kwargs.get("event_id"))
            return await super().process_api(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            log.error("event %s: %s", getattr(block_fn, "api_name", block_fn), brief(error))
            raise gr.Error("That could not be done with these values.", print_exception=False) from error

    def _check_start(self, block_fn: Any, session: str | None, event: str | None) -> None:
        """Raises gr.Error for a run that nobody listens to, and for new files without room."""
        if event in self._queue.event_ids_to_events and not self.connections.listening(session or ""):
            raise gr.Error("Nobody waits for this run.", print_exception=False)
        opens = any(kind == "load" for _, kind in block_fn.targets)
        if makes_files(block_fn) and not opens and not STORE.reserve(OWNER.get()):
            raise gr.Error(NO_SPACE, print_exception=False)

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """As Gradio's, with files checked first. They are handed on as paths, unopened: nstlib reads them."""
        taken = {}
        for place, (block, value) in enumerate(zip(block_fn.inputs, inputs, strict=False)):
            if isinstance(block, gr.Image | gr.File) and value is not None:
                taken[place] = own_file(value)
            check_plain(None if place in taken else value)
        rest = [None if place in taken else value for place, value in enumerate(inputs)]
        try:
            values = await super().preprocess_data(block_fn, rest, *args, **kwargs)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            log.info("refused: %s", brief(error))
            raise gr.Error("A value of this request cannot be used.", print_exception=False) from error
        return [taken.get(place, value) for place, value in enumerate(values)]

    async def postprocess_data(self, *args: Any, **kwargs: Any) -> list[Any]:
        """As Gradio's, and counts the files that it made."""
        data: list[Any] = await super().postprocess_data(*args, **kwargs)
        for path in paths(data):
            STORE.add(path, OWNER.get())
        return data
