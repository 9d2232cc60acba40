"""Answers questions about image files: their pixels, their properties, their recipe.

`answer` runs in the process itself, or within limits on time and memory in a child process of `isolation`.
There `serve` reads questions from stdin until it closes and writes answers to stdout: a line of JSON, then
the pixels where there are any. A question that takes too much time kills the child; one that takes too
much memory is answered by MemoryError.
"""

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nstlib.images.opening import (
    MAX_RECIPE,
    RECIPE_KEY,
    Allow,
    Source,
    check_scans,
    known_formats,
    open_image,
    shown_size,
)
from nstlib.images.pixels import GAP, upright
from nstlib.version import free_host_memory

LARGE = 1 << 24  # pixels: for a file with more, the memory that it needs is compared with what is free
DECODED, RESULT = 8, 19  # bytes for each pixel that is decoded, and for each of the image that is returned
PER_PIXEL = 16  # bytes that a pixel of the file may take: WebP with transparency takes most


def answer(
    what: str,
    source: Source,
    name: str,
    max_pixels: int,
    size: int | None = None,
    mask: bool = False,
    allow: Allow = lambda pixels: None,
) -> tuple[Any, list[str]]:
    """Returns what is asked of an image, and notes for its user.

    Args:
        what: "pixels", an array (H, W, 3) of uint8; "properties", its size as shown and its format; or
            "recipe", its recipe's text, cut off one character above the limit, empty where there is none.
        name: of the source in messages.
        size, mask: of "pixels", see `pixels.upright`.
        allow: called with a number of pixels before their memory is needed.

    Raises: FileNotFoundError, ImageError; MemoryError for an image that would not fit.
    """
    notes: list[str] = []
    allow = (lambda pixels: None) if what == "recipe" else allow  # it precedes the pixels: nothing is decoded
    with open_image(source, name, max_pixels, allow) as image:
        if what == "properties":  # this decodes only a PNG, whose rotation may follow its pixels
            width, height = shown_size(image)
            return {"width": width, "height": height, "format": image.format}, notes
        if what == "recipe":
            text = image.info.get(RECIPE_KEY, "")
            return (str(text)[: MAX_RECIPE + 1] if isinstance(text, str) else ""), notes
        if image is not source and image.format in ("JPEG", "MPO"):
            check_scans(image, name)
            if size is not None:  # JPEG shrinks by 2, 4 or 8 while it decodes
                share = GAP * size / max(image.size)
                image.draft(None, (max(1, round(image.width * share)), max(1, round(image.height * share))))
        _check_memory(image.size, size, name)
        pixels = np.array(upright(image, size, name, mask, notes))
        with contextlib.suppress(Exception):  # damaged frames, which are not used
            if image is not source and image.is_animated and image.format != "MPO":  # type: ignore[attr-defined]
                notes.append(f"{name} has several frames and only the first is used: save the frame you want")
        return pixels, notes


def _check_memory(stored: tuple[int, int], size: int | None, name: str) -> None:
    """Raises MemoryError, before anything is decoded, where the pixels of a large file would not fit.

    stored: (width, height) to decode. size: The longest side that is asked for; None keeps it.
    """
    pixels, free = stored[0] * stored[1], None
    if pixels > LARGE:
        free = free_host_memory()
    needed = DECODED * pixels + RESULT * pixels * (1 if size is None else (size / max(stored)) ** 2)
    if free is not None and needed > free:
        raise MemoryError(
            f"{name} is {stored[0]} x {stored[1]} px: reading it needs about {needed / 1e9:.1f} GB of memory "
            f"and {free / 1e9:.1f} GB are free; shrink the file, or close other programs"
        )


def serve() -> None:
    """Answers questions until stdin closes."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints is no answer
    known_formats()  # imports Pillow's decoders before the first file's time begins
    while line := questions.readline():
        question = json.loads(line)
        data, pixels = questions.read(question["bytes"]), memoryview(b"")
        source = io.BytesIO(data) if question["path"] is None else question["path"]
        try:
            with limits(question["seconds"], question["memory"]) as allow:
                value, notes = answer(source=source, allow=allow, **question["arguments"])
            if isinstance(value, np.ndarray):
                pixels, said = np.ascontiguousarray(value).data, {"notes": notes, "shape": value.shape}
            else:
                said = {"notes": notes, "value": value}
        except Exception as error:
            said = {"error": type(error).__name__, "message": str(error)[:1000]}
        answers.write(json.dumps(said).encode() + b"\n")
        answers.write(pixels)
        answers.flush()


@contextlib.contextmanager
def limits(seconds: float, memory: int) -> Iterator[Allow]:
    """Ends the process after `seconds` of CPU time, and lets a block take at most `memory` more bytes.

    Yields a function that raises the second limit by what a number of pixels needs. Windows enforces neither
    limit, and only Linux enforces that on memory.
    """
    if sys.platform == "win32":
        yield lambda pixels: None
        return
    import resource

    hard, statm = resource.getrlimit(resource.RLIMIT_AS)[1], Path("/proc/self/statm")
    used = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else None

    def allow(pixels: int) -> None:
        if used is not None:
            most = used + memory + PER_PIXEL * pixels
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))

    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        allow(0)
        yield allow
    finally:
        if used is not None:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        signal.setitimer(signal.ITIMER_PROF, 0)
