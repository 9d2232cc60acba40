"""Answers questions about image files: their pixels, their properties, their recipe.

`answer` runs in this process, or with limits on time and memory in a child process of `isolation`. There,
`serve` reads questions from stdin until stdin closes. It writes each answer to stdout: a line of JSON, then
the pixels if there are any. A question that takes too much time ends the child process. The answer to a
question that takes too much memory is MemoryError.
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

LARGE = 1 << 24  # pixels: before a larger file is decoded, its memory is compared with the free memory
DECODED, RESULT = 8, 19  # bytes per pixel that is decoded, and per pixel of the image that is returned
PER_PIXEL = 16  # bytes of memory that a pixel of the file may take; WebP with transparency takes the most


def answer(
    what: str,
    source: Source,
    name: str,
    max_pixels: int,
    size: int | None = None,
    mask: bool = False,
    allow: Allow = lambda pixels: None,
) -> tuple[Any, list[str]]:
    """Returns the answer to a question about an image, and notes for the user.

    Args:
        what: the question. "pixels": an array (H, W, 3) of uint8. "properties": the size as shown, and the
            format. "recipe": the text of the recipe, cut after one character more than the limit, or "".
        name: name of the source, for messages.
        size, mask: arguments of `pixels.upright`, for "pixels".
        allow: called with a number of pixels before memory for them is needed.

    Raises: FileNotFoundError, ImageError; MemoryError for an image that does not fit in memory.
    """
    notes: list[str] = []
    allow = (lambda pixels: None) if what == "recipe" else allow  # for a recipe nothing is decoded
    with open_image(source, name, max_pixels, allow) as image:
        if what == "properties":  # this decodes a PNG only, whose rotation may follow its pixels
            width, height = shown_size(image)
            return {"width": width, "height": height, "format": image.format}, notes
        if what == "recipe":
            text = image.info.get(RECIPE_KEY, "")
            return (str(text)[: MAX_RECIPE + 1] if isinstance(text, str) else ""), notes
        if image is not source and image.format in ("JPEG", "MPO"):
            check_scans(image, name)
            if size is not None:  # Pillow can shrink a JPEG by 2, 4 or 8 while it decodes
                share = GAP * size / max(image.size)
                image.draft(None, (max(1, round(image.width * share)), max(1, round(image.height * share))))
        _check_memory(image.size, size, name)
        pixels = np.array(upright(image, size, name, mask, notes))
        with contextlib.suppress(Exception):  # later frames may be damaged, but are not used
            if image is not source and image.is_animated and image.format != "MPO":  # type: ignore[attr-defined]
                notes.append(f"{name} has several frames and only the first is used: save the frame you want")
        return pixels, notes


def _check_memory(stored: tuple[int, int], size: int | None, name: str) -> None:
    """Raises MemoryError before decoding, if the pixels of a large file would not fit in memory.

    stored: (width, height) to decode. size: The requested longest side. None: that of the file.
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
    os.dup2(2, 1)  # what a decoder prints goes to stderr, not into the answers
    known_formats()  # imports Pillow's decoders, so that the first question does not spend its time on it
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
    """Ends the process after `seconds` of CPU time, and limits a block to `memory` more bytes.

    Yields a function that adds the memory of a number of pixels to this limit. Only Linux enforces the limit
    on memory, and Windows enforces neither limit.
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
