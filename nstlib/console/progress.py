"""A run on the terminal: a progress bar, Ctrl-C as or SIGTERM as a polite stop, the last image saved."""

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from torch import Tensor
from tqdm import tqdm

from nstlib.console.repeat import differences
from nstlib.images import save_image
from nstlib.synthesis.allocator import keep_memory
from nstlib.synthesis.loop import Step


def finish(steps: Iterator[Step], options: argparse.Namespace, recipe: dict[str, Any]) -> int:
    """Runs to the end, to the step of a recipe that is repeated, or to Ctrl-C or SIGTERM; saves the image."""
    step, note = None, ""
    end = recipe.get("step") if options.iterations is None else None
    with tqdm(total=None, disable=options.quiet, unit="step", leave=False) as bar, interrupts() as pressed:
        for step in steps:
            if step.index == 1:  # by now it is decided whether the run is checkpointed
                keep_memory(large=step.image.recipe["settings"]["memory"] == "fast")  # type: ignore[attr-defined]
            bar.total = step.total
            bar.update(step.index - bar.n)
            bar.set_postfix_str(f"loss {step.loss:.4g}", refresh=False)
            if recipe and step.index == 1:
                say_differences(recipe, step.image)
            if end == step.index < step.total:
                note = f"the recipe's image is of step {end} of {step.total}"
                break
            if pressed.is_set():
                note = "stopped"
                break
    assert step is not None  # a run yields at least one step
    if step.failed and step.index == 1:
        print(f"nstlib: nothing was made: {step.stopped}; {options.output} is as before", file=sys.stderr)
        return 1
    save_image(step.image, options.output)
    note = step.stopped or note
    print(f"{options.output}: {step.index} steps, {step.seconds:.1f} s" + (f"; {note}" if note else ""))
    return 1 if step.failed else 0


def say_differences(recipe: dict[str, Any], image: Tensor) -> None:
    """Prints what a recipe has otherwise than the image that repeats it, a line each."""
    for note in differences(recipe, image.recipe):  # type: ignore[attr-defined]
        tqdm.write(f"note: {note}", file=sys.stderr)


@contextlib.contextmanager
def interrupts() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets: no step is torn in the middle. A second one ends it."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def press(number: int, _: object) -> None:
        pressed.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, press)
    try:
        yield pressed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
