"""ZeroGPU, where it exists: `spaces` is imported before torch touches CUDA, and is never required."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

try:
    import spaces  # type: ignore[import-not-found]
except ImportError:
    spaces = None

ZERO = spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true")
F = TypeVar("F", bound=Callable[..., Any])


def on_gpu(duration: Callable[..., float]) -> Callable[[F], F]:
    """Decorator: runs a generator on a ZeroGPU worker, booked for `duration(same arguments)` seconds;
    does nothing anywhere else."""

    def decorate(function: F) -> F:
        return function if spaces is None else spaces.GPU(duration=duration)(function)

    return decorate
