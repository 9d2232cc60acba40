"""Sets how OpenMP's threads wait for each other, before torch's OpenMP library reads the setting.

By default a waiting thread spins for milliseconds. On a busy machine it may spin on the core that the awaited
thread needs, and a run takes up to eighteen times as long. Here a thread spins for some tens of microseconds
and then sleeps; `benchmarks/busy.py` measures both. Waiting changes no result. A user's own setting is kept,
and a program that imports torch before nstlib keeps torch's default.
"""

import os
import sys

# One variable for each OpenMP library of torch's wheels. GNU's (Linux) counts turns of its waiting loop;
# LLVM's (macOS) and Intel's (Windows) count milliseconds, and nobody has measured them yet.
WAITING = {"GOMP_SPINCOUNT": "2000", "KMP_BLOCKTIME": "1"}


def limit_spinning() -> None:
    """Set `WAITING` in the environment, unless torch is there already or the user chose a way to wait."""
    chosen = any(name in os.environ for name in ("OMP_WAIT_POLICY", *WAITING))
    if "torch" not in sys.modules and not chosen:
        os.environ.update(WAITING)


limit_spinning()
