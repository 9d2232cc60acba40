"""Support for ZeroGPU. The package `spaces` is optional, and must be imported before torch uses CUDA."""

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
    """Returns a decorator that runs a generator on a ZeroGPU worker. duration: computes the seconds to book
    from the generator's arguments. Without `spaces`, the decorator does nothing."""
    return spaces.GPU(duration=duration) if spaces else lambda function: function
