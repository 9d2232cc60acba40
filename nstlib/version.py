"""The version, and what a picture was made with, alone, so that any module may name them."""

import platform
from typing import Any

import torch

__version__ = "0.1.0"


def surroundings() -> dict[str, Any]:
    """What the pixels of a picture depend on beside its settings, as plain JSON values.

    threads: of the CPU. Their number decides the order of sums, and a run lets a rounding grow.
    """
    return {
        "versions": {
            "nstlib": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
        "threads": torch.get_num_threads(),
    }
