"""Stores uploads within limits of size and time, with an owner for every file.

This route replaces that of Gradio, which keeps unfinished parts, parts with other field names, and the names
of all uploads.
"""

import asyncio
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from demo.runs.files import CACHE
from demo.runs.limits import LIMITS, size_in_bytes
from demo.runs.store import NO_SPACE, STORE, occupied
from demo.runs.turns import PATIENCE

UPLOAD = size_in_bytes(LIMITS.upload) + 100_000  # bytes: the files and the multipart boundaries
TOO_LARGE = f"An upload may have at most {LIMITS.upload}."
FILES = 8  # at most, in one upload
SECONDS, SILENCE = 600.0, 60.0  # seconds: the longest upload, the longest pause in it


class Uploads:
    """Stores uploads while there is space, and counts the uploads in progress."""

    def __init__(self) -> None:
        self._under_way = 0

    async def take(self, request: Request, owner: str) -> list[str]:
        """Stores the files of an upload and returns their paths. Raises HTTPException, TimeoutError and
        ClientDisconnect."""
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise HTTPException(415, "An upload must be multipart/form-data.")
        length = int(request.headers.get("content-length", UPLOAD))
        async with asyncio.timeout(SECONDS):
            if length > UPLOAD:
                await _discard(request, length)
                raise HTTPException(413, TOO_LARGE)
            size, waited = length + FILES * occupied(0), 0
            while not STORE.reserve(owner, size):  # wait until other uploads have ended
                if waited >= PATIENCE or not self._under_way:
                    await _discard(request, length)
                    raise HTTPException(503, NO_SPACE)
                await asyncio.sleep(1)
                waited += 1
            self._under_way += 1
            try:
                async with Request(request.scope, _bounded(request)).form(
                    max_files=FILES, max_fields=0
                ) as form:
                    files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
                    if not files:
                        raise HTTPException(400, "This upload holds no file.")
                    return [await asyncio.to_thread(_keep, file, owner) for file in files]
            finally:
                STORE.release(owner, size)
                self._under_way -= 1


def _bounded(request: Request) -> Any:
    """Returns a `receive` that counts the bytes and refuses an upload without its last boundary."""
    tail, taken = b"", 0

    async def receive() -> Any:
        nonlocal tail, taken
        async with asyncio.timeout(SILENCE):
            message = await request.receive()
        part = message.get("body", b"")
        tail, taken = (tail + part[-8:])[-8:], taken + len(part)
        if taken > UPLOAD:
            raise HTTPException(413, TOO_LARGE)
        if message["type"] == "http.request" and not message.get("more_body") and b"--" not in tail[-4:]:
            raise HTTPException(400, "This upload is not complete. Upload it again.")
        return message

    return receive


async def _discard(request: Request, length: int) -> None:
    """Reads the body to its end unless it is huge. A browser shows the answer only after sending all."""
    if length < 3 * UPLOAD:
        async for _ in request.stream():
            pass


def _keep(file: UploadFile, owner: str) -> str:
    """Puts a file into a new folder with a random name, and returns its path."""
    name = re.sub(r"[^\w.\- ]", "_", Path(file.filename or "").name).lstrip(".").encode()[-200:]
    path = CACHE / secrets.token_hex(16) / (name.decode(errors="ignore") or "file")
    path.parent.mkdir(parents=True)
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target)
    STORE.add(str(path), owner)
    return str(path)
