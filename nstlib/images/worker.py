"""A child process that decodes images: questions come by stdin, answers go by stdout, until stdin closes.

An answer is a line of JSON, followed by the pixels where there are any. A question that takes too much time
kills the process; one that takes too much memory is answered by MemoryError.
"""

import io
import json
import os
import signal
import sys
from typing import Any

import numpy as np

from nstlib.images.decoding import QUESTIONS
from nstlib.images.opening import known_formats

PER_PIXEL = 16  # bytes that a pixel of the file may take: WebP with transparency takes most


def serve() -> None:
    """Answers questions until stdin closes."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints is no answer
    known_formats()  # imports Pillow's decoders before the first file's time begins
    while line := questions.readline():
        question = json.loads(line)
        data = questions.read(question["bytes"])
        value = None
        try:
            value, notes = _answer(question, data)
            answer = {"notes": notes}
            answer |= {"shape": value.shape} if isinstance(value, np.ndarray) else {"value": value}
        except Exception as error:
            _limit_memory(None)
            answer = {"error": type(error).__name__, "words": str(error)[:1000]}
        _limit_time(0)
        _limit_memory(None)
        answers.write(json.dumps(answer).encode() + b"\n")
        if isinstance(value, np.ndarray):
            answers.write(np.ascontiguousarray(value).data)
        answers.flush()


def _answer(question: dict[str, Any], data: bytes) -> Any:
    most = _memory() + question["memory"]

    def allow(pixels: int) -> None:
        _limit_memory(most + PER_PIXEL * pixels)

    _limit_time(question["seconds"])
    allow(0)
    source = question["path"] if question["path"] is not None else io.BytesIO(data)
    return QUESTIONS[question["ask"]](source, question["name"], allow, **question["options"])


def _limit_time(seconds: float) -> None:
    """Ends the process after so much time of a core; 0: never. Windows has no such timer."""
    if sys.platform != "win32":
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _memory() -> int:
    """Bytes of address space; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _limit_memory(most: int | None) -> None:
    """Bounds the address space in bytes; None: as the process began. Only Linux keeps such a limit."""
    if sys.platform == "linux":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = hard if most is None else most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
