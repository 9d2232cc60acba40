"""What a visitor reads while a run goes on, and when something is wrong: short, plain, no stack traces."""

import logging
from html import escape
from pathlib import Path

import nstlib
from demo.runs.engine import Frame
from nstlib.synthesis.pyramid import plan

log = logging.getLogger("nstlib.app")

READY = "Choose pictures, a method, γ: the picture follows. <b>Refine</b> optimises it."


def explain(error: BaseException, *files: str | None) -> str:
    """An error in words; the server's paths of `files` are shortened to the names the visitor knows."""
    if isinstance(error, MemoryError) and "would fit" in str(error):
        return f"That is too much for this machine's memory: {error}."
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        return "That was too much for this machine's memory. Choose a smaller size and try again."
    if isinstance(error, nstlib.WeightsError):
        log.warning("weights: %s", error)  # with paths and addresses, for whoever runs the app
        return (
            "The weights of this encoder are not here, and could not be downloaded. Choose vgg19-slim under "
            "More settings: it is built in."
        )
    if isinstance(error, nstlib.ImageError | FileNotFoundError | ValueError | TypeError):
        text, names = str(error), [Path(file).name for file in files if file]
        for file, name in zip(filter(None, files), names, strict=True):
            text = text.replace(file, name)
        as_it_is = any(text.startswith(name) for name in names)  # the visitor's own spelling
        return text if as_it_is else text[:1].upper() + text[1:]  # a sentence, as the visitor expects
    log.error("a run failed", exc_info=error)
    kind = type(error).__name__
    return f"Something went wrong on our side ({kind}). Your pictures are fine; please try again."


def missing(content: str | None, style: str | None) -> str:
    """What to do when a picture is not there yet; empty when both are."""
    lacking = [name for name, path in (("content", content), ("style", style)) if not path]
    if not lacking:
        return ""
    return f"Choose a {' and a '.join(lacking)} picture first: drop a file, or take one of the examples."


def note(text: str, kind: str = "") -> str:
    """The status line without a run. kind: "", "done" or "alert" (spoken at once
    by a screen reader)."""
    role = "alert" if kind == "alert" else "status"
    width = 100 if kind == "done" else 0
    return (
        f'<div class="nst-status {kind}"><div class="nst-bar"><i style="width:{width}%"></i></div>'
        f'<p role="{role}">{text}</p></div>'
    )


def alert(text: str) -> str:
    return note(escape(text), "alert")


def running(frame: Frame, settings: nstlib.Settings) -> str:
    """The status line during a run: step, time left, what content and style weigh now."""
    share = work_done(settings, frame.index)
    left = frame.seconds * (1 - share) / share if share else 0
    time_left = f"about {duration(left)} left" if frame.seconds > 0.5 else "just started"
    return bar(share, f"<b>Step {frame.index}</b> of {frame.total} · {time_left}", "")


def finished(frame: Frame, stopped_by_visitor: bool) -> str:
    """The status line after a run."""
    if stopped_by_visitor:
        text = f"<b>Stopped</b> at step {frame.index} of {frame.total}. The picture is yours to keep."
    elif frame.note:
        text = f"<b>Ended at step {frame.index}</b>: {escape(frame.note)}."
    else:
        text = f"<b>Done</b>: {frame.total} steps in {duration(frame.seconds)}."
    return bar(1.0, text, "alert" if frame.failed else "done")


def bar(share: float, text: str, kind: str) -> str:
    """The status line with its bar filled to `share`; text is HTML."""
    role = ' role="status"' if kind else ""  # spoken once, at the end, not every second
    return (
        f'<div class="nst-status {kind}"><div class="nst-bar"><i style="width:{100 * share:.1f}%"></i></div>'
        f"<p{role}>{text}</p></div>"
    )


def work_done(settings: nstlib.Settings, index: int) -> float:
    """The share of a run's work after `index` steps: steps at small sizes cost less."""
    done = total = 0.0
    for scale, steps in plan(settings, max(1, round(0.75 * settings.size))):
        cost = scale**2 + 0.05
        done += cost * min(max(index, 0), steps)
        total += cost * steps
        index -= steps
    return min(1.0, done / total)


def duration(seconds: float) -> str:
    """7 → "7 s", 95 → "1 min 35 s"."""
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"
