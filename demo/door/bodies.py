"""What comes in with a request: read within bounds of size and time, and cut down to what is expected."""

import asyncio
import json
import re
from typing import Any

from demo.runs import files
from demo.runs.limits import LIMITS, size_in_bytes

EVENT_FIELDS = {"data", "event_data", "fn_index", "session_hash", "trigger_id"}
OTHER_FIELDS = {"session_hash", "fn_index", "event_id"}  # of cancel and reset
SESSION = re.compile(r"[\w-]{1,64}")
BODY = 1_000_000  # bytes of an event
MULTIPART = 100_000  # bytes of an upload besides its file
BODY_SECONDS = 60.0  # to send a request in
Message = dict[str, Any]


class Refused(Exception):
    """A request that goes no further: an HTTP status and words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


async def read(receive: Any) -> bytes:
    """The body of a request. Raises Refused where it is too large, or too long in coming."""
    body, more = b"", True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "The request was broken off.")
                body, more = body + message.get("body", b""), message.get("more_body", False)
                if len(body) > BODY:
                    raise Refused(413, "This request is too large.")
    except TimeoutError:
        raise Refused(408, "The request did not arrive.") from None
    return body


def by_name(path: str) -> bool:
    """Whether the body holds an event's parameters by their names, as Gradio's page of cURL calls has it."""
    return "/call/v2/" in path


def shaped(body: bytes, path: str) -> dict[str, Any]:
    """The fields of a request that Gradio's own page sends. Raises Refused for any other shape."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "This is no JSON.") from None
    if not isinstance(found, dict):
        raise Refused(400, "A request is an object.")
    if by_name(path):
        return {name: value for name, value in found.items() if name != "oauth_token"}
    other = path.rstrip("/").endswith(("/cancel", "/reset"))
    kept = {k: v for k, v in found.items() if k in (OTHER_FIELDS if other else EVENT_FIELDS)}
    session, number = kept.get("session_hash"), kept.get("fn_index")
    if not other and not isinstance(kept.get("data"), list):
        raise Refused(400, "An event has a list of data.")
    if session is not None and not (isinstance(session, str) and SESSION.fullmatch(session)):
        raise Refused(400, "A session is a short word.")
    if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
        raise Refused(400, "An event is a number.")
    if not isinstance(kept.get("trigger_id"), int | None) or not isinstance(kept.get("event_id"), str | None):
        raise Refused(400, "This is no event.")
    return kept


def written(body: dict[str, Any]) -> bytes:
    """A shaped request as JSON. Raises Refused for text that no answer could repeat (half a character)."""
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Refused(400, "A text of this request is broken.") from None


async def bounded(scope: Message, receive: Any) -> Any:
    """`receive` of an upload, whose files together may be as large as one, while there is room for them."""
    limit, taken = size_in_bytes(LIMITS.upload) + MULTIPART, 0
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    if not announced.isdigit() or int(announced) > limit:
        if announced.isdigit() and int(announced) < 3 * limit:
            await _drain(receive)  # a browser shows an answer only after it has sent everything
        raise Refused(413, f"An upload may have at most {LIMITS.upload}.")
    if files.stored() > LIMITS.store:
        raise Refused(503, "There is no room for uploads just now. Try again in an hour.")

    async def counted() -> Message:
        nonlocal taken
        message: Message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise Refused(413, f"An upload may have at most {LIMITS.upload}.")
        return message

    return counted


async def _drain(receive: Any) -> None:
    async with asyncio.timeout(BODY_SECONDS):
        while (await receive()).get("more_body", False):
            pass


def again(body: bytes, receive: Any) -> Any:
    """A `receive` that gives a body read before, then whatever comes after it."""
    sent = False

    async def once() -> Message:
        nonlocal sent
        if sent:
            return dict(await receive())
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
