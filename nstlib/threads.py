"""Sets how OpenMP's threads wait for each other, before torch's OpenMP library reads the setting.

By default, a waiting thread spins for milliseconds. On a busy machine, it may spin on the core that the
awaited thread needs, and a run then takes up to eighteen times as long. With the values below, a thread spins
for some tens of microseconds and then sleeps; `benchmarks/busy.py` measures both cases. The values change no
result. Settings of the user take precedence. A program that imports torch first keeps torch's default.
"""

import os
import sys

# Each OpenMP library of torch's wheels has its own variable. GNU's (Linux) counts turns of its waiting loop.
# LLVM's (macOS) and Intel's (Windows) count milliseconds; the value for them has not been measured.
WAITING = {"GOMP_SPINCOUNT": "2000", "KMP_BLOCKTIME": "1"}


def limit_spinning() -> None:
    """Sets `WAITING` in the environment, unless torch is imported or the user has chosen a way to wait."""
    chosen = any(name in os.environ for name in ("OMP_WAIT_POLICY", *WAITING))
    if "torch" not in sys.modules and not chosen:
        os.environ.update(WAITING)


limit_spinning()
