"""The guard in front of Gradio: it allows only known routes, limits requests, and adds headers to answers.

It checks the route, the page that sends the request, the number of open requests of the address, and the
body. Then the request waits for its turn. Gradio gets only the fields, query parameters and headers it needs.
"""

import logging
import re
from typing import Any
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from demo.guard.blocks import ADDRESS, GuardedBlocks
from demo.guard.bodies import Event, Named, read
from demo.guard.files import describe, own_path
from demo.guard.origins import check_origin
from demo.runs.connections import address
from demo.runs.limits import LIMITS
from demo.runs.turns import Lane, Ticket
from demo.runs.uploads import Uploads

log = logging.getLogger("nstlib.app")

ROUTES = {
    "GET": r"""/ | /card\.jpg | /config/? | /theme\.css | /(assets|static|svelte)/.+
        | /favicon\.ico | /robots\.txt | /manifest\.json | /pwa_icon(/\d{1,4})? | /login_check/?
        | /browser/.* | /gradio_api/(info|theme\.css|app_id|login_check|startup-events|queue/status)/?
        | /gradio_api/heartbeat/(?P<heartbeat>[\w-]{1,64}) | /gradio_api/queue/(?P<answers>data)/?
        | /gradio_api/call/(v2/)?\w{1,64}/(?P<event>[\w-]{1,64})
        | /gradio_api/file=(?P<file>.+)""",
    "POST": r"""/gradio_api/((?P<direct>run|api)/(?P<name>\w{1,64}) | queue/(?P<join>join) | cancel | reset
        | call/(?P<by_name>v2/)?(?P<called>\w{1,64}) | (?P<upload>upload))/?""",
}
ROUTES["HEAD"] = ROUTES["GET"]
QUERY = {"session_hash": r"[\w-]{1,64}", "all_endpoints": "true|false"}
DROPPED = (b"origin", b"range", b"if-range")  # Gradio fails on a list of ranges
CSP = "content-security-policy"
PAGE = f"frame-ancestors {' '.join(LIMITS.frames)}; object-src 'none'; base-uri 'self'"
HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin", CSP: PAGE}
FILE_HEADERS = HEADERS | {CSP: "default-src 'none'; sandbox"}
LIGHT = 16  # the most requests that work at the same time; streams, uploads and images do not count
# The most events outside the queue that make an image at the same time, in all and for one address. Two
# threads compute (preview.py); others may wait for a decoder. So slow files delay only their own address.
IMAGES, IMAGES_EACH = 8, 2
GUARDED = "nstlib.guarded"  # a key in the scope of a request that the guard has passed


class Guard:
    """ASGI middleware. app: the application that it guards; blocks: the page of that application."""

    def __init__(self, app: Any, blocks: GuardedBlocks) -> None:
        self.app, self.blocks, self.uploads = app, blocks, Uploads()
        self.light, self.images = Lane(LIGHT), Lane(IMAGES, IMAGES_EACH)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            outer = scope["app"]  # Gradio has put its own middleware first; now ours is first
            outer.middleware_stack = Guard(outer.middleware_stack, self.blocks)
            self.blocks.start_guard(outer)
        if scope["type"] == "lifespan" or GUARDED in scope:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        path, started = scope["path"].removeprefix(scope.get("root_path", "")), False

        async def send_with_headers(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                more = FILE_HEADERS if path.startswith("/gradio_api/file=") else HEADERS
                MutableHeaders(scope=message).update(more)
            await send(message)

        try:
            route = re.fullmatch(ROUTES.get(scope["method"], "(?!)"), path, re.VERBOSE)  # (?!) never matches
            if route is None:
                raise HTTPException(404, "This address does not exist here.")
            check_origin(Headers(scope=scope))
            request = Request(self._reduced(scope), receive)
            with self.blocks.connections.request(request.scope[ADDRESS]):
                answer = self._post if scope["method"] == "POST" else self._get
                return await answer(request, route.groupdict(), send_with_headers)
        except HTTPException as error:
            status, words = error.status_code, error.detail
        except (TimeoutError, ClientDisconnect, ValidationError):
            status, words = 400, "This request is broken, arrived too slowly, or has wrong fields."
        except Exception as error:  # in Gradio's routes: one line in the log
            log.error("%s %s: %s", scope["method"], path[:80], describe(error))
            status, words = 500, "The app failed at this request. Try again, or reload the page."
        if not started:
            await JSONResponse({"detail": words, "error": words}, status)(scope, receive, send_with_headers)

    def _reduced(self, scope: Any) -> Any:
        """The scope with the client's address, but without unneeded headers and query parameters."""
        asked = Request(scope).query_params
        kept = {k: asked[k] for k, pattern in QUERY.items() if re.fullmatch(pattern, asked.get(k, ""))}
        headers = [(key, value) for key, value in scope["headers"] if key not in DROPPED]
        more = {"query_string": urlencode(kept).encode(), "headers": headers, GUARDED: True}
        return scope | more | {ADDRESS: address(scope)}

    async def _get(self, request: Request, asked: dict[str, str | None], send: Any) -> None:
        scope, receive, session = request.scope, request.receive, asked["heartbeat"]
        if asked["file"] and not own_path(asked["file"]):
            raise HTTPException(404, "There is no such file here.")
        if asked["answers"] or asked["event"]:
            session = self.blocks.listener(asked["event"], request.query_params.get("session_hash"))
            if session is None:
                raise HTTPException(404, "This session has started nothing.")
        if session is None:
            return await self.light.serve(Ticket((scope[ADDRESS], "")), self.app, request, receive, send)
        with self.blocks.connections.stream(session, scope[ADDRESS], answers=not asked["heartbeat"]):
            await self.app(scope, receive, send)

    async def _post(self, request: Request, asked: dict[str, str | None], send: Any) -> None:
        scope, name, lane = request.scope, asked["name"] or asked["called"], self.light
        if asked["upload"]:
            files = await self.uploads.take(request, scope[ADDRESS])
            return await JSONResponse(files)(scope, request.receive, send)
        body = await read(request, Named if asked["by_name"] else Event)
        ticket = Ticket((scope[ADDRESS], getattr(body, "session_hash", None) or ""))
        if name or asked["join"]:
            event = self.blocks.event(getattr(body, "fn_index", None), name)
            if event is None:
                raise HTTPException(404, "There is no such event.")
            if asked["direct"] and event[0]:
                lane, ticket.replaces = self.images, event[1] if ticket.who[1] else None
        unused = {"event_id"} if name or asked["join"] else {"data"}
        content = body.model_dump_json(exclude_unset=True, exclude=unused).encode()
        MutableHeaders(scope=scope)["content-length"] = str(len(content))
        messages = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> Any:
            return messages.pop() if messages else await request.receive()

        await lane.serve(ticket, self.app, request, receive, send)
