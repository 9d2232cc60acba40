"""The version, what an image was made with, and how to work apart from the caller's settings of torch.

It imports nothing of the package, so that every module may import it.
"""

import contextlib
import platform
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch

__version__ = "0.1.0"
AUTOCAST = ("cpu", "cuda", "mps", "xpu")  # device types for which a caller may have autocast on

Parameters = ParamSpec("Parameters")
Item = TypeVar("Item")


@contextlib.contextmanager
def use_torch_defaults(gradients: bool | None = None) -> Iterator[None]:
    """Runs a block, or a decorated function, as if the caller had changed none of torch's defaults.

    Inside, new tensors lie on the CPU where no device is named, autocast is off, and no tensor becomes an
    inference tensor, which a cache would keep for later calls. The default dtype belongs to the whole process
    and cannot be changed for one thread: the package names the dtype where it makes floating-point tensors.

    Args:
        gradients: whether to record them; None leaves it as the caller has it.
    """
    with contextlib.ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.no_grad())
        if gradients is not None:
            stack.enter_context(torch.set_grad_enabled(gradients))
        yield


def step_with_torch_defaults(
    generate: Callable[Parameters, Iterator[Item]],
) -> Callable[Parameters, Iterator[Item]]:
    """Decorates a generator function: every step runs in `use_torch_defaults(gradients=True)`.

    Between two steps, where the caller works, the caller's settings hold."""

    @wraps(generate)
    def step(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Iterator[Item]:
        items, end = generate(*args, **kwargs), object()
        while True:
            with use_torch_defaults(gradients=True):
                item: Any = next(items, end)
            if item is end:
                return
            yield item

    return step


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
