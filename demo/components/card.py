"""The preview card of a shared link. It replaces the card of Gradio."""

import re
from html import escape
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse

from demo.runs import ready

IMAGE = "/card.jpg"
WORDS = "Give your photo the style of a painting, in the browser, on an ordinary computer."
OTHERS = re.compile(rb'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>')


class Card:
    """ASGI middleware that serves the card's image and writes the card's tags into the page."""

    def __init__(self, app: Any, title: str) -> None:
        self.app, self.title = app, title

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if path == IMAGE:
            return await FileResponse(ready.path(ready.FIRST))(scope, receive, send)
        if path != "/" or scope["method"] != "GET":
            return await self.app(scope, receive, send)
        answer: list[Any] = []

        async def collect(message: Any) -> None:
            answer.append(message)

        await self.app(scope, receive, collect)
        body = OTHERS.sub(b"", b"".join(message.get("body", b"") for message in answer))
        body = body.replace(b"</head>", self.tags(Request(scope)) + b"</head>", 1)
        MutableHeaders(scope=answer[0])["content-length"] = str(len(body))
        await send(answer[0])
        await send({"type": "http.response.body", "body": body})

    def tags(self, request: Request) -> bytes:
        """The tags of the card, with the absolute address of its image as the client sees it."""
        scheme = request.headers.get("x-forwarded-proto", request.url.scheme).partition(",")[0]
        host = request.headers.get("x-forwarded-host", request.headers.get("host", ""))
        root = f"{scheme}://{host}{request.scope.get('root_path', '')}"
        values = {
            "type": "website",
            "title": self.title,
            "description": WORDS,
            "url": f"{root}/",
            "image": root + IMAGE,
        }
        lines = [f'<meta property="og:{name}" content="{escape(value)}">' for name, value in values.items()]
        return "\n".join([*lines, '<meta name="twitter:card" content="summary_large_image">']).encode()
