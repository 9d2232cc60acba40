"""What stands before Gradio: the few routes this app needs, bounds on requests, headers on answers.

A request meets, in this order: is there such a route; does its visitor ask for too much at once; is its
body small and of the expected shape. A body with an event is written anew from the fields that Gradio's
own page sends, so that no other field reaches it.
"""

import json
import logging
import re
from typing import Any
from urllib.parse import parse_qs

from demo.door.bodies import SESSION, Message, Refused, again, bounded, by_name, read, shaped, written
from demo.door.house import House, brief, own_path
from demo.runs.limits import LIMITS

Scope = dict[str, Any]
log = logging.getLogger("nstlib.app")

ROUTES = {
    "GET": r"""/ | /config/? | /theme\.css | /(assets|static|svelte)/.+ | /favicon\.ico | /robots\.txt
        | /manifest\.json | /pwa_icon(/\d{1,4})? | /login_check/?
        | /gradio_api/(info|theme\.css|app_id|login_check|startup-events|queue/data|queue/status
        |upload_progress)/? | /gradio_api/heartbeat/[\w-]{1,64}
        | /gradio_api/call/(v2/)?\w{1,64}/[\w-]{1,64} | /gradio_api/file=.+""",
    "POST": r"""/gradio_api/((run|api|call|call/v2)/(?P<name>\w{1,64})|queue/join|upload|cancel|reset)/?""",
}
ROUTES["HEAD"] = ROUTES["GET"]
ALLOWED = {method: re.compile(pattern, re.VERBOSE) for method, pattern in ROUTES.items()}
AT_ONCE = 8  # requests of one address that are worked on at the same time
RUNS = 2  # of one visitor, waiting or going on
FRAMES = " ".join(LIMITS.frames)
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", f"frame-ancestors {FRAMES}; object-src 'none'; base-uri 'self'".encode()),
]
FILE_HEADERS = [*HEADERS[:2], (b"content-security-policy", b"default-src 'none'; sandbox")]


class Door:
    """ASGI middleware. app: what it stands before; house: the Blocks behind."""

    def __init__(self, app: Any, house: House) -> None:
        self.app, self.house = app, house

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        path = scope["path"]
        started = False

        async def dressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                more = FILE_HEADERS if path.startswith("/gradio_api/file=") else HEADERS
                message = message | {"headers": [*message.get("headers", ()), *more]}
            await send(message)

        try:
            pattern = ALLOWED.get(scope["method"])
            match = pattern.fullmatch(path) if pattern else None
            if match is None:
                raise Refused(404, "There is nothing here.")
            if scope["method"] == "POST":
                await self._post(scope, receive, dressed, match["name"])
            else:
                await self._get(scope, receive, dressed, path)
        except Refused as refusal:
            if not started:
                await _answer(dressed, refusal)
        except Exception as error:  # of Gradio's routes: a line in the log instead of a page
            log.error("%s %s: %s", scope["method"], path[:80], brief(error))
            if not started:
                await _answer(dressed, Refused(500, "That did not work."))

    async def _get(self, scope: Scope, receive: Any, send: Any, path: str) -> None:
        _, is_file, file = path.partition("/gradio_api/file=")
        if is_file:
            try:
                own_path(file)
            except Exception:
                raise Refused(404, "There is no such file here.") from None
        session = self._listener(scope, path)
        if session is None:
            await self.app(scope, receive, send)
            return
        with self.house.visitors.listens(session):
            await self.app(scope, receive, send)

    def _listener(self, scope: Scope, path: str) -> str | None:
        """The session for which this request asks for a stream of answers, if it does."""
        if path.rstrip("/") == "/gradio_api/queue/data":
            session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
            if not SESSION.fullmatch(session):
                raise Refused(400, "A session is a short word.")
            if session not in self.house._queue.pending_messages_per_session:
                raise Refused(404, "This session has asked for nothing.")
            return session
        if path.startswith("/gradio_api/call/"):
            event = path.rstrip("/").rpartition("/")[2]
            known = self.house._queue.event_ids_to_events.get(event)
            return event if known is None else known.session_hash
        return None

    async def _post(self, scope: Scope, receive: Any, send: Any, name: str | None) -> None:
        address = _address(scope)
        with self.house.visitors.busy(address) as number:
            if number > AT_ONCE:
                raise Refused(429, "Too many requests at once. Wait a moment.")
            if scope["path"].startswith("/gradio_api/upload"):
                await self.app(scope, await bounded(scope, receive), send)
                return
            body = shaped(await read(receive), scope["path"])
            if name is not None or "data" in body:
                named = by_name(scope["path"])
                self._check_event(None if named else body.get("fn_index"), name)
                if not _direct(scope["path"]):
                    self._check_runs(None if named else body.get("session_hash"), address)
            content = written(body)
            kept = [(k, v) for k, v in scope["headers"] if k not in (b"content-length", b"content-type")]
            kept += [(b"content-length", str(len(content)).encode()), (b"content-type", b"application/json")]
            await self.app(scope | {"headers": kept}, again(content, receive), send)

    def _check_event(self, number: int | None, name: str | None) -> None:
        """Raises Refused unless the event exists, and here rather than in the browser."""
        asked = (
            fn
            for fn in self.house.fns.values()
            if (fn.api_name if number is None else fn._id) == (name if number is None else number)
        )
        if not any(fn.fn for fn in asked):
            raise Refused(404, "There is no such event.")

    def _check_runs(self, session: str | None, address: str) -> None:
        """Raises Refused where a visitor has runs enough, or (on a public host) an address half the line."""
        self.house.sweep()
        runs = self.house.runs()
        if session is not None and sum(mine == session for mine, _ in runs) >= RUNS:
            raise Refused(429, f"You have {RUNS} runs already: stop one, or wait for it.")
        here = sum(_address(request) == address for _, request in runs)
        if LIMITS.public and here >= max(RUNS, LIMITS.queue // 2):
            raise Refused(429, "Your address has half the line already. Wait for a run to end.")


def _direct(path: str) -> bool:
    """Whether an event is answered at once, without the queue."""
    return path.startswith(("/gradio_api/run/", "/gradio_api/api/"))


def _address(scope: Scope) -> str:
    """Where a request comes from, as far as a public host's proxy says it; a word for the log of nobody."""
    forwarded = dict(scope["headers"]).get(b"x-forwarded-for", b"") if LIMITS.public else b""
    return forwarded.decode("latin-1").rpartition(",")[2].strip() or (scope.get("client") or ("?",))[0]


async def _answer(send: Any, refusal: Refused) -> None:
    words = json.dumps({"detail": refusal.words, "error": refusal.words}).encode()
    length = str(len(words)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": words})
