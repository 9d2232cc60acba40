"""A run on the terminal: a progress bar, Ctrl-C as a polite stop, the last image saved."""

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from tqdm import tqdm

from nstlib.images import save_image
from nstlib.synthesis.allocator import keep_memory
from nstlib.synthesis.loop import Step


def finish(steps: Iterator[Step], options: argparse.Namespace) -> int:
    """Runs to the end, or to Ctrl-C, and saves the last image."""
    if not options.output.parent.is_dir():
        raise FileNotFoundError(
            f"cannot save {options.output}: the folder {options.output.parent} does not exist"
        )
    if not os.access(options.output.parent, os.W_OK) or options.output.is_dir():
        raise PermissionError(f"cannot write {options.output}")
    step, note = None, ""
    with tqdm(total=None, disable=options.quiet, unit="step", leave=False) as bar, _interrupts() as pressed:
        for step in steps:
            if step.index == 1:  # by now it is decided whether the run is checkpointed
                keep_memory(large=step.image.recipe["settings"]["memory"] == "fast")  # type: ignore[attr-defined]
            bar.total = step.total
            bar.update(step.index - bar.n)
            bar.set_postfix_str(f"loss {step.loss:.4g}", refresh=False)
            if pressed.is_set():
                note = "stopped"
                break
    assert step is not None  # a run yields at least one step
    save_image(step.image, options.output)
    note = step.stopped or note
    print(f"{options.output}: {step.index} steps, {step.seconds:.1f} s" + (f"; {note}" if note else ""))
    return 1 if step.failed else 0


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets: no step is torn in the middle. A second one interrupts."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = signal.getsignal(signal.SIGINT)

    def press(*_: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
