"""The page's own preview card, for those who share a link: Gradio's is of Gradio."""

import re
from html import escape
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse

from demo.runs import ready

PATH = "/card.jpg"
WORDS = "Give your photo the style of a painting, in the browser and on a plain computer."
OTHERS = re.compile(rb'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>')


def image() -> FileResponse:
    return FileResponse(ready.path(ready.FIRST), media_type="image/jpeg")


def tags(request: Request, title: str) -> bytes:
    """The tags of the card. Its image needs an absolute address, as the client sees it."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme).partition(",")[0]
    host = request.headers.get("x-forwarded-host", request.headers.get("host", ""))
    root = f"{scheme}://{host}{request.scope.get('root_path', '')}"
    values = {
        "type": "website",
        "title": title,
        "description": WORDS,
        "url": f"{root}/",
        "image": root + PATH,
    }
    lines = [f'<meta property="og:{name}" content="{escape(value)}">' for name, value in values.items()]
    return "\n".join([*lines, '<meta name="twitter:card" content="summary_large_image">']).encode()


def with_card(send: Any, request: Request, title: str) -> Any:
    """`send` for the page itself: its card replaces Gradio's."""
    start: dict[str, Any] = {}
    body = bytearray()

    async def send_page(message: Any) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        body.extend(message.get("body", b""))
        if message.get("more_body"):
            return
        page = OTHERS.sub(b"", bytes(body)).replace(b"</head>", tags(request, title) + b"</head>", 1)
        MutableHeaders(scope=start)["content-length"] = str(len(page) if body else 0)
        await send(start)
        await send({"type": "http.response.body", "body": page if body else b""})

    return send_page
