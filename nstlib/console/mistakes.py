"""What a user reads when something is wrong: one line and an exit code, whatever was raised.

With NSTLIB_DEBUG set, errors nobody foresaw show where they were raised.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable

from nstlib.encoders.checkpoints import WeightsError

MISTAKE, FAILED, INTERRUPTED = 2, 1, 130
NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "bad_alloc", "cannot allocate")


def told(command: Callable[[], int]) -> int:
    """Runs a command and returns its exit code: 2 a mistake in what was asked, 1 a failure, 130 a Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):  # an old terminal has no γ: show something rather than fail
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(command())
    except KeyboardInterrupt:  # before the first image
        return _say("stopped", INTERRUPTED)
    except BrokenPipeError:  # whoever read our words has gone
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes it at its end
        return FAILED
    except Exception as error:
        if _lacks_memory(error):
            usual = "out of memory; try a smaller --size or --encoder vgg19-slim"
            return _say(
                str(error) if "GB are free" in str(error) else usual, FAILED
            )  # our own words say more
        if isinstance(error, FloatingPointError):
            return _say(str(error), FAILED)
        if isinstance(error, ValueError | TypeError | OSError | WeightsError):
            return _say(str(error) or type(error).__name__, MISTAKE)
        if os.environ.get("NSTLIB_DEBUG"):
            traceback.print_exc()
        words = f"failed unexpectedly: {type(error).__name__}: {error}"
        return _say(f"{words}; with NSTLIB_DEBUG=1 it says where", FAILED)


def _lacks_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError | OSError | ImportError) and any(
        words in str(error).lower() for words in NO_MEMORY
    )


def one_line(words: str) -> str:
    """The words in one line without control characters: a file may bring its own."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(words.split()))


def _say(words: str, code: int) -> int:
    print("nstlib:", one_line(words), file=sys.stderr)
    return code
