"""The files in a request: every value of every event passes here before its function sees it.

Only an image or a file component takes a file, and only from this app's own folder, where uploads and
results lie in folders whose names cannot be guessed (drawn by lot, or a seeded SHA-256 of the content): who
knows such a path has uploaded the file or was given it. All else that a client says of a file is dropped.
"""

import os
import traceback
from typing import Any

import gradio as gr

from demo.runs.files import CACHE

NOT_OURS = "This file was not uploaded here. Choose it again."
NO_ADDRESS = "An address is not fetched here: download the image and send the file."
DEEPEST = 12  # levels of lists and dictionaries in a value


def own_path(path: Any) -> str:
    """The real path of a file in the folder of uploads and results; "" for anything else, there or not."""
    folder = os.path.realpath(CACHE)
    try:
        real: str = os.path.realpath(path)
        return real if os.path.commonpath([real, folder]) == folder and os.path.isfile(real) else ""
    except (TypeError, ValueError, OSError):  # no text, a null byte, too long
        return ""


def own_file(value: Any) -> str:
    """The path of the file that an image's value names. Raises gr.Error."""
    path = value.get("path") if isinstance(value, dict) else None
    is_address = isinstance(path, str) and path.startswith(("http://", "https://"))
    return own_path(path) or _refuse(NO_ADDRESS if is_address else NOT_OURS)


def check_plain(value: Any, level: int = 0) -> None:
    """Raises gr.Error for a value that holds a file, or is nested too deeply."""
    if level > DEEPEST or (isinstance(value, dict) and value.keys() & {"path", "url"}):
        _refuse("A value of this request is nested too deeply, or is a file where none is taken.")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_plain(item, level + 1)


def _refuse(words: str) -> Any:
    raise gr.Error(words, print_exception=False)


def brief(error: BaseException) -> str:
    """An error for the log, in one line: its kind, the start of its words, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" ({os.path.basename(frame.filename)}:{frame.lineno})" for frame in frames)
    return f"{type(error).__name__}: {str(error)[:160]!r}{place}"
