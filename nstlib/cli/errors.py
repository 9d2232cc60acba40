"""Turns every exception into an error message of one line and an exit code.

With NSTLIB_DEBUG set, an unexpected error shows its traceback.
"""

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Callable

MISTAKE, FAILED, INTERRUPTED = 2, 1, 130
NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "bad_alloc", "cannot allocate")


def run_command(command: Callable[[], int]) -> int:
    """Runs a command. Returns its exit code: 2 for a user's mistake, 1 for a failure, 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show γ gets an escape, not an error
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            return command()
    except KeyboardInterrupt:  # a run that has an image catches the first Ctrl-C and saves it
        message, code = "stopped", INTERRUPTED
    except BrokenPipeError:  # the program that reads the output has ended
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes it at exit
        return FAILED
    except Exception as error:
        named = type(error).__name__
        message, code = str(error) or named, FAILED
        if _lacks_memory(error):
            if " of memory and " not in message:  # these words are in nstlib's own messages
                message = "out of memory; try a smaller --size or --encoder vgg19-slim"
            code = MISTAKE if named == "BudgetError" else FAILED
        elif isinstance(error, ValueError | TypeError | OSError) or named in (
            "WeightsError",
            "MissingPackageError",
        ):
            code = MISTAKE
        elif not isinstance(error, FloatingPointError):
            if os.environ.get("NSTLIB_DEBUG"):
                traceback.print_exc()
            what = f"failed unexpectedly: {named}: {error}"
            message = f"{what}; set NSTLIB_DEBUG=1 for the traceback"
    print("nstlib:", one_line(message), file=sys.stderr)
    return code


def _show_warning(message: Warning | str, *_: object) -> None:
    """Writes a warning as one line, above a progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(f"nstlib: {one_line(str(message))}", file=sys.stderr)


def _lacks_memory(error: Exception) -> bool:
    said = any(words in str(error).lower() for words in NO_MEMORY)
    return (isinstance(error, RuntimeError | OSError | ImportError) and said) or (
        isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
    )


def one_line(text: str) -> str:
    """Returns the text in one line without control characters, which names of files may contain."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
