"""Settings for checking the notebooks with `pytest --nbval notebooks`; plain tests are left alone.

Outputs are compared strictly, except what cannot be equal on two machines: pictures (nbval's own rule),
warnings on stderr, HTML, figure sizes, addresses of objects and numbers printed after the sign ≈ (an assert
in the same cell says what of them holds).
"""

import os
from pathlib import Path
from typing import Any

SANITISER = Path(__file__).parent / "notebooks" / "sanitize.cfg"


def _nbval(option: Any) -> bool:
    return bool(getattr(option, "nbval", False) or getattr(option, "nbval_lax", False))


def pytest_configure(config: Any) -> None:
    option = config.option
    if not _nbval(option):
        return
    if not option.nbval_kernel_name:
        option.nbval_current_env = True  # the kernel of this environment, whatever the notebook names
    if option.nbval_sanitize_with is None:
        option.nbval_sanitize_with = str(SANITISER)
    # Seconds; the default of 60 is short for a busy machine.
    option.nbval_kernel_startup_timeout = max(300, option.nbval_kernel_startup_timeout)
    # Kernels inherit these: two threads that sleep while they wait, no progress bars.
    os.environ["OMP_NUM_THREADS"] = "2"
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ["TQDM_DISABLE"] = "1"


def pytest_collectstart(collector: Any) -> None:
    skipped = getattr(collector, "skip_compare", None)
    if isinstance(skipped, tuple):
        collector.skip_compare = (*skipped, "stderr", "text/html")
