"""app.py, where a run with the seed `SLOW` waits after each step: it lasts for minutes at little CPU time."""

import os
import runpy
import sys
import time
from collections.abc import Iterator
from typing import Any

SLOW, PAUSE = 7, 0.2  # seed; seconds

if __name__ == "__main__":
    sys.path[0] = os.getcwd()  # as for `python app.py`
    import demo  # noqa: F401 - before torch
    import nstlib

    transfer = nstlib.transfer

    def with_pauses(*args: Any, **options: Any) -> Iterator[Any]:
        steps = transfer(*args, **options)
        return slowly(steps) if any(getattr(one, "seed", None) == SLOW for one in args) else steps

    def slowly(steps: Iterator[Any]) -> Iterator[Any]:
        for step in steps:
            yield step
            time.sleep(PAUSE)

    nstlib.transfer = with_pauses
    runpy.run_path("app.py", run_name="__main__")
