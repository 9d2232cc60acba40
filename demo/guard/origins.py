"""Checks which page sends a request, and which name of this host the request uses."""

import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from demo.runs.limits import LIMITS

OWN = LIMITS.hosts | {socket.gethostname().lower()}
# No outsider can point these names at this machine.
LOCAL = (".localhost", ".local", ".lan", ".internal", ".home.arpa", ".gradio.live")
HUGGING_FACE = (".hf.space", ".huggingface.co")  # pages of these sites show a Space in a frame


def check_origin(headers: Headers) -> None:
    """Raises HTTPException for a request from a page of another site, and for a host name that outsiders can
    point at this machine: a browser would take a page under that name for ours (DNS rebinding)."""
    host, origin = _name("//" + headers.get("host", "")), headers.get("origin")
    if not (LIMITS.public or _is_ours(host)):
        words = "This app does not answer under this host name. NSTLIB_HOSTS can allow the name"
        raise HTTPException(403, f"{words}: {host[:100] or 'none'}.")
    page = _name(origin or "")
    ours = page in {host, _name("//" + headers.get("x-forwarded-host", "")), *LIMITS.hosts} - {""}
    if origin is not None and not (ours or (LIMITS.public and f".{page}".endswith(HUGGING_FACE))):
        raise HTTPException(403, "A page of another site cannot use this app.")


def _is_ours(name: str) -> bool:
    """Whether nobody outside can point this name at this machine: it is local, allowed, or an IP address."""
    is_address = ":" in name or name.replace(".", "").isdecimal()
    return is_address or "." not in name or name.endswith(LOCAL) or bool({name, "*"} & OWN)


def _name(url: str) -> str:
    """The host name in a URL, or "" where there is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
