"""The page's Blocks, its queue and its sessions. Only this file uses private attributes of Gradio.

tests/attack/test_gradio.py checks these uses. A public host does not start with a version outside TESTED.
"""

import logging
import os
import sys
import threading
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import gradio as gr
from fastapi import HTTPException
from gradio import route_utils, state_holder
from gradio.queueing import Event, Queue
from gradio.state_holder import SessionState, StateHolder

from demo.guard.files import describe, own_file
from demo.runs.connections import Connections
from demo.runs.files import CACHE
from demo.runs.limits import LIMITS
from demo.runs.store import NO_SPACE, OWNER, STORE, files_in
from demo.runs.turns import Turns, Who

log = logging.getLogger("nstlib.app")

TESTED = ("6.31.0",)
ADDRESS = "nstlib.address"  # the key of a client's address in an ASGI scope
RUNS = 2  # the most waiting and working runs of one session
LOOK_EVERY = 0.02  # seconds between two checks for waiting runs; Gradio's 0.001 takes 5 % of a core at rest
LISTEN_SECONDS = 10.0  # seconds; then a run whose client does not listen to its answers is dropped


def check_version(version: str = gr.__version__, public: bool = LIMITS.public) -> None:
    """Ends the program on a public host if Gradio's version was not tested. Elsewhere, logs a warning."""
    if version in TESTED:
        return
    words = f"Gradio {version} was not tested with this app, only {', '.join(TESTED)}"
    if public and os.environ.get("NSTLIB_UNTESTED_GRADIO") != "1":
        sys.exit(f"{words}. Install a tested version, or set NSTLIB_UNTESTED_GRADIO=1 to start anyway.")
    log.warning("%s.", words)


def makes_files(fn: Any) -> bool:
    """Whether the answer of an event can hold images or other files."""
    files = gr.Image | gr.ImageSlider | gr.Gallery | gr.File | gr.DownloadButton
    return any(isinstance(block, files) for block in fn.outputs)


def keep(path: str) -> str:
    """Copies a file into the folder that Gradio serves, and returns the path of the copy."""
    return str(gr.processing_utils.save_file_to_cache(path, str(CACHE)))


class FairQueue(Queue):
    """Gradio's queue with fair turns. `push` counts a run before it awaits, so that limits hold."""

    def __init__(self, plain: Queue) -> None:
        vars(self).update(vars(plain))
        self.sleep_when_free = LOOK_EVERY
        self._turns, self._coming = Turns(), Counter[str]()

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        """Adds a run. Raises HTTPException if the session has RUNS runs already or the queue is full. Only
        addresses with fewer runs than the average address may use the last quarter of the queue."""
        self._sweep()
        events = self.event_ids_to_events.values()
        session, address = body.session_hash or "", request.scope.get(ADDRESS, "")
        if session and self._coming[session] + sum(e.session_hash == session for e in events) >= RUNS:
            raise HTTPException(429, f"You have {RUNS} runs already: stop one, or wait until one ends.")
        runs, waiting = Counter(_who(event)[0] for event in events), len(self) + self._coming.total()
        has_share = runs[address] * len({address, *runs}) >= runs.total() > 0
        if waiting >= LIMITS.queue or (waiting >= 0.75 * LIMITS.queue and has_share):
            raise HTTPException(503, "Too many runs are waiting. Try again in a minute.")
        self._coming[session] += 1
        try:
            return await super().push(body, request, username)
        finally:
            self._coming[session] -= 1
            self._coming = +self._coming
            self._sort()

    def get_events(self) -> Any:
        """Returns the next run that is due: its client listens, or LISTEN_SECONDS have passed."""
        lines = self.event_queue_per_concurrency_id.values()  # one line: see HEAVY
        if not any(self._is_due(event) for line in lines for event in line.queue):
            return None
        self._sort()
        if found := super().get_events():
            self._turns.took(_who(found[0][0]))
        return found

    def _sort(self) -> None:
        for line in self.event_queue_per_concurrency_id.values():
            self._turns.sort(line.queue, _who)
            line.queue.sort(key=self._is_due, reverse=True)

    def _is_heard(self, event: Event) -> bool:
        return bool(self.blocks.connections.listening(event.session_hash))

    def _is_due(self, event: Event) -> bool:
        return self._is_heard(event) or time.monotonic() > event.enqueue_time + LISTEN_SECONDS

    def _sweep(self) -> None:
        """Drops runs that are due although no client listens, and unread messages of sessions that neither
        listen nor have a run. Gradio itself would keep the messages of 2000 sessions."""
        for line in self.event_queue_per_concurrency_id.values():
            for event in [one for one in line.queue if self._is_due(one) and not self._is_heard(one)]:
                line.queue.remove(event)
                self.event_ids_to_events.pop(event._id, None)
        running = {event.session_hash for event in self.event_ids_to_events.values()}
        for session in list(self.pending_messages_per_session):
            if session not in running and not self.blocks.connections.listening(session):
                self.pending_messages_per_session.pop(session, None)
                self.pending_event_ids_session.pop(session, None)


def _who(event: Event) -> Who:
    return event.request.scope.get(ADDRESS, ""), event.session_hash


class Session(SessionState):
    """Gradio's state of a session, or of a request without a session. It does not copy the page's
    description: that takes 25 ms, and only deep links need it. This app has no deep links."""

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks=()))  # type: ignore[arg-type]
        self.blocks_config.config_for_block = lambda *_: {}  # type: ignore[assignment]


class ProtectedSessions(StateHolder):
    """Gradio's store of session states. It evicts sessions that are not connected first."""

    def update(self, session_id: str) -> None:
        with self.lock:
            if len(self.session_data) > self.capacity:
                others = [session for session in self.session_data if session != session_id]
                self.session_data.move_to_end(self.blocks.connections.evictable(others), last=False)
        super().update(session_id)


class GuardedBlocks(gr.Blocks):
    """Blocks that check every file and every value that a client sends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        check_version()
        self.connections = Connections()
        super().__init__(*args, **kwargs)

    def queue(self, *args: Any, **kwargs: Any) -> "GuardedBlocks":
        super().queue(*args, **kwargs)
        self._queue = FairQueue(self._queue)
        return self

    def is_idle(self, session: str | None) -> bool:
        """Whether no run of another session works or waits."""
        return all(event.session_hash == session for event in self._queue.event_ids_to_events.values())

    def has_run(self, session: str | None, number: int) -> bool:
        """Whether a run of this session and of the event with this number works or waits."""
        events = self._queue.event_ids_to_events.values()
        return any((event.session_hash, event.fn._id) == (session, number) for event in events)

    def start_guard(self, app: Any) -> None:
        """Replaces Gradio's store of sessions, and starts the thread that removes old files."""
        STORE.protect_present()
        state_holder.SessionState = route_utils.SessionState = Session  # type: ignore[misc]
        app.state_holder = ProtectedSessions()
        app.state_holder.set_blocks(self)
        threading.Thread(target=STORE.keep_clean, args=(self._forget,), daemon=True).start()

    def _forget(self, gone: list[str]) -> None:
        """Removes deleted files from a list of Gradio's, which only Gradio's cleaner shortens. It is off."""
        for known in self.temp_file_sets:
            known.difference_update(gone)

    def event(self, number: int | None, name: str | None) -> tuple[bool, int | None] | None:
        """(Whether an event makes files, its number if only a session's newest request counts), or None."""
        named = (fn for fn in self.fns.values() if fn.api_name == name)
        fn = next(named, None) if number is None else self.fns.get(number)
        if fn is None or not fn.fn:  # an event without a function runs only in the browser
            return None
        return makes_files(fn), fn._id if fn.trigger_mode == "always_last" else None

    def listener(self, event: str | None, session: str | None) -> str | None:
        """The session that started `event`. Without an event: `session`, or None if it started nothing."""
        known = self._queue.event_ids_to_events.get(event or "")
        session = known.session_hash if known else event or session
        return session if event or session in self._queue.pending_messages_per_session else None

    async def process_api(self, block_fn: Any, inputs: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Works as in Gradio, but logs an unexpected error in one line and hides it from the client."""
        request = getattr(kwargs.get("request"), "request", None)
        OWNER.set(request.scope.get(ADDRESS, "") if request else "")
        try:
            if kwargs.get("iterator") is None:
                self._check_start(block_fn, kwargs.get("session_hash"), kwargs.get("event_id"))
            return await super().process_api(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            log.error("event %s: %s", getattr(block_fn, "api_name", block_fn), describe(error))
            raise gr.Error("This could not be done with these values.", print_exception=False) from error

    def _check_start(self, block_fn: Any, session: str | None, event: str | None) -> None:
        """Raises gr.Error for a run without a listening client, and for new files without disk space."""
        if event in self._queue.event_ids_to_events and not self.connections.listening(session or ""):
            raise gr.Error("Nobody listens to this run.", print_exception=False)
        opens = any(kind == "load" for _, kind in block_fn.targets)
        if makes_files(block_fn) and not opens and not STORE.reserve(OWNER.get()):
            raise gr.Error(NO_SPACE, print_exception=False)

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Works as in Gradio, but checks all values first. Files stay paths; nstlib opens them later."""
        try:
            taken = {
                place: own_file(value)
                for place, (block, value) in enumerate(zip(block_fn.inputs, inputs, strict=False))
                if isinstance(block, gr.Image | gr.File | gr.UploadButton) and value is not None
            }
            rest = [None if place in taken else value for place, value in enumerate(inputs)]
            if any(files_in(rest)):
                raise gr.Error("A value of this request is a file where no file is taken.")
            values = await super().preprocess_data(block_fn, rest, *args, **kwargs)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            log.info("refused: %s", describe(error))
            raise gr.Error("A value of this request cannot be used.", print_exception=False) from error
        return [taken.get(place, value) for place, value in enumerate(values)]

    async def postprocess_data(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Works as in Gradio, and counts the files of the answer."""
        data: list[Any] = await super().postprocess_data(*args, **kwargs)
        for value in files_in(data):
            STORE.add(str(value.get("path")), OWNER.get())
        return data
