"""The optimisation loop. It uses an optimiser and no network.

`synthesize` is a generator: every iteration yields a `Step` that can be shown, saved or ignored, and leaving
the loop (`break`, `close()`) ends the run. One L-BFGS iteration is one step. Pixels stay in [0, 1]: a pixel
at a bound does not move beyond it (projected quasi-Newton). Clamping the result of a run without bounds gives
a much worse image.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from nstlib.synthesis.optimizers import LBFGS, Adam, Optimizer
from nstlib.version import step_with_torch_defaults, use_torch_defaults

RUNAWAY = 2.0  # a step fails if its loss is at least this many times the lowest one
MAX_REJECTIONS = 8  # maximum number of failed steps in a run
HISTORY: tuple[int, torch.dtype | None] = (8, None)
QUIET_STEPS = 5  # consecutive steps without progress that count as converged

OptimizerName = Literal["lbfgs", "adam"]


@dataclass(frozen=True)
class Step:
    """The result of one iteration. Step 1 is the start image."""

    index: int  #: 1 … total
    total: int
    picture: Callable[[], Tensor] = field(repr=False)  #: computes `image`
    terms: dict[str, float]  #: the weighted terms at the image, whose sum is the loss
    seconds: float  #: since the start of the run
    stopped: str = ""  #: why the run ends before `total`
    failed: bool = False  #: whether the run ends because it found no usable next image
    tile: int | None = None  #: px of the tiles at full size (None: the whole image at once)
    remaining: float = 0.0  #: estimated seconds until the end of the run

    @cached_property
    def image(self) -> Tensor:
        """(1, 3, H, W) in [0, 1], detached, on the run's device; made on first access."""
        with use_torch_defaults():
            return self.picture()

    def __getstate__(self) -> dict[str, Any]:
        """Returns the state of a pickled or copied step: the image itself, and nothing else of the run."""
        return vars(self) | {"image": self.image, "picture": self.image.clone}

    @property
    def loss(self) -> float:
        return sum(self.terms.values())


@step_with_torch_defaults
def synthesize(
    x0: Tensor,
    terms_of: Callable[[Tensor], dict[str, Tensor]],
    *,
    iterations: int = 300,
    optimizer: OptimizerName = "lbfgs",
    lr: float | None = None,
    tolerance: float = 0.0,
    preconditioner: Callable[[Tensor], Tensor] | None = None,
    history: tuple[int, torch.dtype | None] = HISTORY,
) -> Iterator[Step]:
    """Minimises Σ terms_of(x) over images x in [0, 1] and yields a `Step` for each iteration.

    A step after which the loss grows too much or is not finite is undone, and a shorter one is tried. If that
    does not help, the run ends with the last good image and the reason in `Step.stopped`.

    Args:
        x0: Start image (1, 3, H, W), which is left unchanged.
        terms_of: Image → named terms, scalars differentiable in the image.
        iterations: Maximum number of steps.
        lr: Step size: in pixel values for Adam (default 0.02), a factor for L-BFGS (default 1).
        tolerance: Stop when the loss changes by less than this fraction in five consecutive steps (0: never).
        preconditioner: Preconditioner of L-BFGS (see optimizers.py).
        history: Number of pairs that L-BFGS stores, and their dtype (None: that of the image).

    Raises:
        ValueError: An option is out of range.
    """
    if iterations < 1 or (lr is not None and lr <= 0) or tolerance < 0:
        raise ValueError(
            f"need iterations >= 1, lr > 0, tolerance >= 0; got {iterations=}, {lr=}, {tolerance=}"
        )
    if optimizer not in ("lbfgs", "adam"):
        raise ValueError(f"optimizer must be 'lbfgs' or 'adam', got {optimizer!r}")
    advance: Optimizer = Adam(lr=lr or 0.02)
    if optimizer == "lbfgs":
        advance = LBFGS(history[0], lr=lr or 1.0, preconditioner=preconditioner, dtype=history[1])
    start = time.perf_counter()
    x = x0.detach().clamp(0, 1)
    del x0  # frees the memory of a large image
    lowest, previous, quiet, rejections, slack = math.inf, math.inf, 0, 0, 0.0
    good, good_gradient, values = x, torch.zeros_like(x), {}  # the last point whose loss was accepted
    for index in range(1, iterations + 1):
        x.requires_grad_(True)
        terms = terms_of(x)
        loss_tensor = torch.stack(list(terms.values())).sum()
        (gradient,) = torch.autograd.grad(loss_tensor, x)
        x = x.detach()
        *numbers, loss, size = torch.stack(
            [
                *(t.detach() for t in terms.values()),
                loss_tensor.detach(),
                torch.linalg.vector_norm(gradient, math.inf),
            ]
        ).tolist()
        stopped, failed = "", False
        if math.isfinite(loss) and math.isfinite(size) and loss < RUNAWAY * lowest + slack:
            gradient = _project(gradient.contiguous(), x)
            good, good_gradient, values = x, gradient, dict(zip(terms, numbers, strict=True))
            quiet = quiet + 1 if abs(previous - loss) < tolerance * abs(previous) else 0
            if index == 1:
                slack = 1e-6 * (abs(loss) or 1.0)  # near zero, rounding alone may double a loss
            lowest, previous = min(lowest, loss), loss
            if quiet >= QUIET_STEPS:
                stopped = f"converged: the loss changed by less than {tolerance:.2%} a step"
        else:
            rejections += 1
            failed = rejections > MAX_REJECTIONS or index == 1
            if failed:
                what = "ran away" if math.isfinite(loss) else "stopped being a finite number"
                stopped = f"the loss {what} at step {index}; this is the last good image"
            else:
                advance.rejected()
        del terms, loss_tensor
        if stopped or index == iterations:  # finishing the last image may need their memory
            del advance, gradient, good_gradient
        yield Step(index, iterations, good.clone, values, time.perf_counter() - start, stopped, failed)
        if stopped or index == iterations:
            return
        x = advance(good, good_gradient).mul_(good_gradient != 0).add_(good).clamp_(0, 1)


def _project(gradient: Tensor, x: Tensor) -> Tensor:
    """Sets the gradient to 0, in place, where x is at a bound of [0, 1] and a step would cross it."""
    for slope, values in zip(gradient[0], x[0], strict=True):  # channel by channel: needs less memory
        slope.mul_(slope.sign().neg_().add_(values).clamp_(0, 1) != values)
    return gradient
