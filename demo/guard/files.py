"""The files in a request: blocks.py checks every value with these functions before an event's function runs.

Only an image or a file component takes a file, and only from this app's own folder. The names of its
subfolders cannot be guessed: they are random, or a seeded SHA-256 of the content. So a client that knows a
path has uploaded the file or has got the path from the app. Of a file component's value, only the field
"path" is used.
"""

import os
import traceback
from typing import Any

import gradio as gr

from demo.runs.files import CACHE


def own_path(path: Any) -> str:
    """The real path of a file in the folder of uploads and results; "" for every other path."""
    folder = os.path.realpath(CACHE)
    try:
        real: str = os.path.realpath(path)
        return real if os.path.commonpath([real, folder]) == folder and os.path.isfile(real) else ""
    except (TypeError, ValueError, OSError):  # not a string, contains a null byte, or too long
        return ""


def own_file(value: Any) -> str:
    """Returns the path of the file in a component's value. Raises gr.Error if it is not in the folder."""
    path = value.get("path") if isinstance(value, dict) else None
    if own := own_path(path):
        return own
    words = "This file was not uploaded here. Choose it again."
    named = value if isinstance(value, str) else path
    if isinstance(named, str) and named.startswith(("http://", "https://")):
        words = "This app fetches no addresses: download the image and upload the file."
    raise gr.Error(f'{words} In a program, pass handle_file("photo.jpg") of gradio_client.')


def describe(error: BaseException) -> str:
    """An error in one line for the log: its type, the start of its message, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" ({os.path.basename(frame.filename)}:{frame.lineno})" for frame in frames)
    return f"{type(error).__name__}: {str(error)[:160]!r}{place}"
