"""Prepares two samples of feature vectors for a comparison: shapes, dtypes, and a common origin."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from nstlib.version import use_torch_defaults


def check_pair(F: Tensor, S: Tensor, call: str = "d(F, S)") -> None:
    """Raises ValueError unless F is (..., N, M) and S is (..., N, M'), with M, M' ≥ 1 and batches that
    broadcast. Raises TypeError, which names the order of the arguments, unless both are tensors.

    call: the correct call, which the message shows.
    """
    if not (isinstance(F, Tensor) and isinstance(S, Tensor)):
        kinds = f"{type(F).__name__} and {type(S).__name__}"
        raise TypeError(f"F and S must be tensors, got {kinds}: the order of the arguments is {call}")
    batches = zip(F.shape[-3::-1], S.shape[-3::-1], strict=False)
    fits = min(F.dim(), S.dim()) >= 2 and F.shape[-2] == S.shape[-2] and 0 not in (*F.shape, *S.shape)
    if not fits or any(a != b and 1 not in (a, b) for a, b in batches):
        raise ValueError(
            "features must be (..., N, M) and (..., N, M') with the same number of channels N, at least one "
            f"position and batches that broadcast, got {tuple(F.shape)} and {tuple(S.shape)}"
        )


def promote(F: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """Returns both samples in the wider of their dtypes, at least float32."""
    dtype = torch.promote_types(torch.promote_types(F.dtype, S.dtype), torch.float32)
    return F.to(dtype), S.to(dtype)


def widen(x: Any) -> Any:
    """Returns a 16-bit tensor as float32, so that sums over positions neither overflow nor lose small
    summands. Returns anything else unchanged."""
    return x.float() if isinstance(x, Tensor) and x.dtype in (torch.float16, torch.bfloat16) else x


def widen_inputs(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function of tensors. `widen` converts its arguments, and torch's default settings apply."""

    @wraps(method)
    def compute(*args: Any, **kwargs: Any) -> Any:
        with use_torch_defaults():
            return method(*map(widen, args), **{name: widen(value) for name, value in kwargs.items()})

    return compute


def centre_samples(kernel: Callable[..., Tensor], F: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """Moves F and S together to the origin if `kernels.shift_invariant` marks the kernel."""
    if not getattr(kernel, "shift_invariant", False):
        return F, S
    centre = (F.detach().mean(-1, keepdim=True) + S.detach().mean(-1, keepdim=True)) / 2
    return F - centre, S - centre


def floor_root(squared: Tensor, norms: Tensor) -> Tensor:
    """Returns σ from σ² and norms = mean ‖f‖² + mean ‖s‖². A floor replaces σ² that is only rounding."""
    rounding = (4 * torch.finfo(norms.dtype).eps) ** 2 * norms
    return torch.where(squared > rounding, squared, 1e-6 * norms + 1e-12).sqrt()
