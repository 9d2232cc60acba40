"""Shows the progress of a run on the terminal, stops the run at Ctrl-C or SIGTERM, and saves its image."""

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from nstlib.cli.errors import FAILED, INTERRUPTED
from nstlib.cli.repeat import differences
from nstlib.images import check_output, save_image
from nstlib.synthesis.allocator import adjust_allocator
from nstlib.synthesis.optimize import Step

STOPPING = "\nstopping, and saving what there is; Ctrl-C again ends at once …"


def check_distinct(options: argparse.Namespace) -> None:
    """Raises ValueError if the output would overwrite an input."""
    target = options.output
    for name in ("content", "style", "mask", "initial", "image", "images", "recipe", "init_from"):
        given = getattr(options, name, None) or []
        for source in map(Path, given if isinstance(given, list) else [given]):
            same = os.path.realpath(target) == os.path.realpath(source)  # also if they do not exist
            if same or (target.exists() and source.exists() and os.path.samefile(target, source)):
                raise ValueError(f"{target} would overwrite the input {source}: give a different --output")


def check_target(options: argparse.Namespace) -> None:
    """Raises the errors of `check_distinct`, and those of `check_output` for the image to write."""
    check_distinct(options)
    check_output(options.output)


def finish(begin: Callable[[], Iterator[Step]], options: argparse.Namespace, recipe: dict[str, Any]) -> int:
    """Runs to the end, to the step of the recipe, or until a signal, and saves the image.

    begin: Loads the images and returns the run.

    Returns the exit code.

    Ctrl-C or SIGTERM ends the computation at once, even a calibration. Then the last image is saved; if there
    is none yet, KeyboardInterrupt is raised. A second signal also aborts the writing of the image.
    """
    note, code, end = "", 0, recipe.get("step") if options.iterations is None else None
    shown = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
    first = "preparing …" if sys.stderr.isatty() else " "  # an error in a log stays one line
    bar = tqdm(total=1, disable=options.quiet, leave=False, bar_format=first)
    step: Step | None = None
    computing = True
    with interrupts(lambda: computing):
        try:
            with bar:
                for step in begin():
                    if step.index == 1:
                        bar.bar_format = shown
                        adjust_allocator(step.tile)
                        if recipe:
                            say_differences(recipe, step.image)
                    bar.total = step.total
                    bar.update(step.index - bar.n)
                    left = tqdm.format_interval(step.remaining)
                    bar.set_postfix_str(f"about {left} left, loss {step.loss:.4g}", refresh=False)
                    if end == step.index < step.total:
                        note = f"the recipe ended at step {end} of {step.total}"
                        break
        except KeyboardInterrupt:
            note, code = "stopped", INTERRUPTED
        computing = False
        if step is None:
            raise KeyboardInterrupt
        if step.failed and step.index == 1:
            words = f"no image was made: {step.stopped}; {options.output} is unchanged"
            print(f"nstlib: {words}", file=sys.stderr)
            return FAILED
        save_image(step.image, options.output)
    note = step.stopped or note
    print(f"{options.output}: {step.index} steps, {step.seconds:.1f} s" + (f"; {note}" if note else ""))
    return FAILED if step.failed else code


def say_differences(recipe: dict[str, Any], image: Tensor) -> None:
    """Prints how a repeated image differs from its recipe, with one line for each difference."""
    for note in differences(recipe, image.recipe):  # type: ignore[attr-defined]
        tqdm.write(f"note: {note}", file=sys.stderr)


@contextlib.contextmanager
def interrupts(raises: Callable[[], bool] = lambda: False) -> Iterator[threading.Event]:
    """Yields an event that the first Ctrl-C or SIGTERM sets; the second one has its usual effect.

    Python handles a signal only after the call of torch that is running, which may take seconds. So a thread
    answers the first one at once, and ends the process at a second one that comes before Python handles it.

    raises: Function that is called at the first signal. If it returns True, KeyboardInterrupt is raised.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def press(number: int, _: object) -> None:
        pressed.set()
        signal.signal(number, before[signal.Signals(number)])
        if raises():
            raise KeyboardInterrupt

    ours, theirs = socket.socketpair()

    def answer() -> None:
        presses = (number for number in iter(lambda: ours.recv(1), b"") if number[0] in before)
        if next(presses, None):
            tqdm.write(STOPPING, file=sys.stderr)
            sys.stderr.flush()
        for _ in presses:
            if not pressed.is_set():
                os._exit(INTERRUPTED)

    theirs.setblocking(False)
    thread, fd = threading.Thread(target=answer, daemon=True), signal.set_wakeup_fd(theirs.fileno())
    thread.start()
    for number in before:
        signal.signal(number, press)
    try:
        yield pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(fd)
        theirs.close()
        thread.join()
        ours.close()
