"""The page's Blocks: every event of every route passes here before its function sees a value.

A file in a request is a dictionary with a path. Only a path in this app's own folder is taken, where
uploads and results lie under names that cannot be guessed (a seeded SHA-256 of their content): to know
such a path is to have uploaded the file or to have been given it. Everything else about a file (an
address to fetch, data in place of a path, a type) is the client's word, and dropped.
"""

import asyncio
import logging
import os
import traceback
from typing import Any

import gradio as gr

import nstlib
from demo.door.visitors import Visitors, patience
from demo.runs.limits import LIMITS
from nstlib.images import image_size

log = logging.getLogger("nstlib.app")

NOT_OURS = "This file was not uploaded here. Choose it again."
NO_ADDRESS = "An address is not fetched here: download the picture and send the file."
NOBODY = "Nobody waits for this run."
LISTEN_SECONDS = 10.0  # after which a run whose visitor has not asked for its answers is dropped
DEEPEST = 12  # levels of lists and dictionaries in a value
FILE_KEYS = {"path", "url"}


class House(gr.Blocks):
    """Blocks that trust no file and no value of a client. visitors: who listens (see door.py)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.visitors = Visitors()

    async def process_api(self, block_fn: Any, inputs: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """As Gradio's, but a visitor reads no raw error, and the log gets a line instead of a page."""
        try:
            if kwargs.get("iterator") is None:
                await self._listened(kwargs.get("session_hash"), kwargs.get("event_id"))
            return await super().process_api(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            name = getattr(block_fn, "api_name", None) or getattr(block_fn, "name", block_fn)
            log.error("event %s: %s", name, brief(error))
            raise gr.Error("That could not be done with these values.", print_exception=False) from error

    async def _listened(self, session: str | None, event: str | None) -> None:
        """A run from the queue starts when somebody listens to it. Raises gr.Error where nobody does."""
        waiting = self._queue.event_ids_to_events.get(event or "")
        if waiting is None or session is None:
            return
        while not self.visitors.listening(session):
            left = patience(waiting.enqueue_time, LISTEN_SECONDS)
            if not left:
                raise gr.Error(NOBODY, print_exception=False)
            await asyncio.sleep(min(0.05, left))

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> list[Any]:
        """As Gradio's, with files checked first. Pictures (and a dropped result) are handed on as paths,
        unopened: nstlib reads them, whose messages name the file and say what to do."""
        inputs = [own_files(value) for value in inputs]
        pictures = {
            place: value["path"]
            for place, (block, value) in enumerate(zip(block_fn.inputs, inputs, strict=False))
            if isinstance(block, gr.Image | gr.File) and isinstance(value, dict) and "path" in value
        }
        for value in (value for place, value in enumerate(inputs) if place not in pictures):
            _readable(value)
        rest = [None if place in pictures else value for place, value in enumerate(inputs)]
        try:
            values = await super().preprocess_data(block_fn, rest, state, explicit_call)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            log.info("refused: %s", brief(error))
            raise gr.Error("A value of this request cannot be used.", print_exception=False) from error
        return [pictures.get(place, value) for place, value in enumerate(values)]

    def sweep(self) -> None:
        """Forgets what was to be said to sessions that neither listen nor have a run: Gradio keeps the
        unread messages of 2000 of them, pictures and all."""
        queue, running = self._queue, {session for session, _ in self.runs()}
        for session in list(queue.pending_messages_per_session):
            if session not in running and not self.visitors.listening(session):
                queue.pending_messages_per_session.pop(session, None)
                queue.pending_event_ids_session.pop(session, None)

    def runs(self) -> list[tuple[str, dict[str, Any]]]:
        """(session, the request's ASGI scope) of every run that waits or goes on."""
        events = list(self._queue.event_ids_to_events.values())
        return [(event.session_hash, dict(event.request.scope)) for event in events]


def own_files(value: Any, level: int = 0) -> Any:
    """The value with every file in it reduced to a path of our own and its name.

    Raises gr.Error, the same for a file that exists and one that does not, for any other.
    """
    if level > DEEPEST:
        raise gr.Error("A value of this request is nested too deeply.", print_exception=False)
    if isinstance(value, list):
        return [own_files(item, level + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if not FILE_KEYS & value.keys():
        return {key: own_files(item, level + 1) for key, item in value.items()}
    path = own_path(value.get("path"))
    return {"path": path, "orig_name": os.path.basename(path), "meta": {"_type": "gradio.FileData"}}


def own_path(path: Any) -> str:
    """The real path, if it is a file in the folder of uploads and results. Raises gr.Error."""
    if isinstance(path, str) and path.startswith(("http://", "https://")):
        raise gr.Error(NO_ADDRESS, print_exception=False)
    folder = os.path.realpath(gr.utils.get_upload_folder())
    try:
        real: str = os.path.realpath(path)
        if os.path.commonpath([real, folder]) == folder and os.path.isfile(real):
            return real
    except (TypeError, ValueError, OSError):  # no text, a null byte, too long
        pass
    raise gr.Error(NOT_OURS, print_exception=False)


def _readable(value: Any) -> None:
    """Files that Gradio itself opens (brushed masks, say) must be pictures within our limits."""
    if isinstance(value, list):
        for item in value:
            _readable(item)
    elif isinstance(value, dict) and "path" in value:
        try:
            width, height = image_size(value["path"])
        except (nstlib.ImageError, OSError) as error:
            raise gr.Error("This file is no picture that can be read.", print_exception=False) from error
        if width * height > LIMITS.pixels:
            raise gr.Error("This picture has too many pixels.", print_exception=False)
    elif isinstance(value, dict):
        for item in value.values():
            _readable(item)


def brief(error: BaseException) -> str:
    """An error for the log, in one line: its kind, the start of its words, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {str(error)[:160]!r}{place}"
