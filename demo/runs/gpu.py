"""ZeroGPU, where it exists. `spaces` must be imported before torch uses CUDA, and is optional."""

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
    """Decorator that runs a generator on a ZeroGPU worker, booked for `duration(same arguments)` seconds.
    Elsewhere it does nothing."""
    return spaces.GPU(duration=duration) if spaces else lambda function: function
