"""Messages for the user, on runs and on errors: short, plain, without stack traces."""

import logging
import re
from html import escape
from pathlib import Path

import nstlib
from demo.runs.engine import Frame
from demo.runs.limits import LIMITS
from nstlib.synthesis.pyramid import schedule

log = logging.getLogger("nstlib.app")

OPERATOR = re.compile(", or install [^,]*$")  # advice for the person who runs the app
READY = "Change anything: the image follows. <b>Finer</b> refines this one."


def explain(error: BaseException, *files: str | None) -> str:
    """Explains an error in words. It replaces the server's paths of `files` by the names of the files."""
    text = OPERATOR.sub("", str(error))
    if isinstance(error, MemoryError) and "would fit" in text:
        return f"This machine has not enough memory for that: {text}."
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return "This machine has not enough memory for that. Choose a smaller size and try again."
    if isinstance(error, nstlib.WeightsError):
        log.warning("weights: %s", error)  # with paths and addresses, for the person who runs the app
        return (
            "The weights of this encoder are not here and could not be downloaded. Choose the encoder "
            "vgg19-slim, which is built in."
        )
    if isinstance(error, nstlib.ImageError | FileNotFoundError | ValueError | TypeError):
        names = {file: Path(file).name for file in files if file}
        for file, name in names.items():
            text = text.replace(file, name)
        starts_with_name = text.startswith(tuple(names.values()))
        return text if starts_with_name else text[:1].upper() + text[1:]
    log.error("a run failed", exc_info=error)
    kind = type(error).__name__
    return f"Something went wrong in this app ({kind}). Your images are not the cause. Please try again."


def missing(content: object, style: object) -> str:
    """What to do if an image is missing; empty if both images are there."""
    absent = [name for name, path in (("content", content), ("style", style)) if not path]
    if not absent:
        return ""
    return f"Choose a {' and a '.join(absent)} image first: drop a file, or choose an example."


def note(text: str, kind: str = "", share: float = 0.0) -> str:
    """The status line. text: HTML. kind: "", "done", "alert" (a screen reader speaks it at once) or "busy"
    (not spoken, because it changes every second). share: the filled fraction of the bar, 0 … 1."""
    role = {"alert": ' role="alert"', "busy": ""}.get(kind, ' role="status"')
    width = 100 * (1.0 if kind == "done" else share)
    return (
        f'<div class="nst-status {kind}"><div class="nst-bar"><i style="width:{width:.1f}%"></i></div>'
        f"<p{role}>{text}</p></div>"
    )


def alert(text: str) -> str:
    return note(escape(text), "alert")


def browser_link() -> str:
    """A link to the static page, for those who do not want to wait; empty where its address is not known."""
    words = "Make images in your browser, without waiting"
    return f' <a href="{escape(LIMITS.web)}" target="_blank">{words}</a>.' if LIMITS.web else ""


def progress(words: str, share: float, seconds: float) -> str:
    """The status line of a run that has done `share` of its work in `seconds`."""
    is_known = share and seconds > 0.5
    left = f"about {duration(seconds * (1 - share) / share)} left" if is_known else "just started"
    return note(f"{words} · {left}", "busy", share)


def running(frame: Frame) -> str:
    return progress(f"<b>Step {frame.index}</b> of {frame.total}", frame.share, frame.seconds)


def is_shown(frame: Frame, settings: nstlib.Settings) -> bool:
    """Whether to show the image of a frame. Images at the smaller sizes of a run are blurred."""
    return frame.done or frame.index > frame.total - schedule(settings, round(0.75 * settings.size))[-1][1]


def finished(frame: Frame, paused: bool) -> str:
    """The status line after a run."""
    if paused:
        text = f"<b>Paused</b> at step {frame.index} of {frame.total}."
    elif frame.note:
        text = f"<b>Ended after {frame.index} steps</b>: {escape(frame.note)}."
    else:
        text = f"<b>Done</b>: {frame.total} steps in {duration(frame.seconds)}."
    return note(text, "alert" if frame.failed else "done")


def duration(seconds: float) -> str:
    """7 → "7 s", 95 → "1 min 35 s"."""
    minutes, rest = divmod(max(1, round(seconds)), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
