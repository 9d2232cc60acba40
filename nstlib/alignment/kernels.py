"""Kernels k(x, y) between feature vectors, which measure how similar two positions are.

A kernel is a function of two feature matrices. F ∈ R^{N×M} holds one N-dimensional vector per
position, as columns; k(F, S) is the M × M' matrix of k(f_i, s_j). Leading dimensions are batches.

    linear       k(x, y) = xᵀy
    polynomial   k(x, y) = (xᵀy + c)^d          (the paper: d = 2; Gram matrices: c = 0)
    gaussian     k(x, y) = exp(−‖x − y‖² / 2σ²)
    laplace      k(x, y) = exp(−‖x − y‖ / σ)    (not the paper's)

(Li, Wang, Liu and Hou, *Demystifying Neural Style Transfer*, IJCAI 2017, §3.)
"""

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from nstlib.alignment.samples import floor_root, widen

Kernel = Callable[[Tensor, Tensor], Tensor]
AnyKernel = TypeVar("AnyKernel", bound=Kernel)


def shift_invariant(kernel: AnyKernel) -> AnyKernel:
    """Marks a kernel as shift-invariant: shifting both samples by the same vector does not change its MMD.

    `mmd2` and `permutation_test` centre the samples before they apply such a kernel, so that rounding errors
    do not grow with the distance from the origin. Every k(x − y) qualifies, and so does the linear kernel.
    Returns the kernel, so that the function can be a decorator.
    """
    kernel.shift_invariant = True  # type: ignore[attr-defined]
    return kernel


@shift_invariant
def linear(x: Tensor, y: Tensor) -> Tensor:
    """k(x, y) = xᵀy. Shapes (..., N, M), (..., N, M') → (..., M, M')."""
    return x.mT @ y


def polynomial(c: float = 0.0, d: int = 2) -> Kernel:
    """Returns the kernel k(x, y) = (xᵀy + c)^d with offset c ≥ 0 and degree d ≥ 1.

    Raises ValueError if the kernel would not be positive definite (c < 0 or d < 1).
    """
    if c < 0 or d < 1 or not math.isfinite(c):
        raise ValueError(
            f"a polynomial kernel needs a finite offset c >= 0 and a degree d >= 1, got {c=}, {d=}"
        )
    return lambda x, y: (x.mT @ y + c) ** d


def squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """‖x − y‖² ≥ 0. Shapes (..., N, M), (..., N, M') → (..., M, M')."""
    # this is ‖x‖² + ‖y‖² − 2xᵀy, which rounding may make slightly negative
    squared = x.square().sum(-2).unsqueeze(-1) + y.square().sum(-2).unsqueeze(-2) - 2 * (x.mT @ y)
    return squared.clamp(min=0)


def gaussian(sigma: float | Tensor) -> Kernel:
    """Returns the kernel k(x, y) = exp(−‖x − y‖² / 2σ²) with bandwidth σ > 0.

    sigma: a number, or a tensor (...) with one number for each sample of a batch, as from `bandwidth`.
    Raises ValueError for a bandwidth that is not positive.
    """
    _check(sigma, "Gaussian")
    return shift_invariant(lambda x, y: torch.exp(squared_distance(x, y) / (-2 * _broadcast(sigma, x) ** 2)))


def laplace(sigma: float | Tensor) -> Kernel:
    """Returns the kernel k(x, y) = exp(−‖x − y‖ / σ) with bandwidth σ > 0.

    sigma: as for `gaussian`. At x = y, the kernel has a cusp, and the gradient is set to 0.
    Raises ValueError for a bandwidth that is not positive.
    """
    _check(sigma, "Laplace")
    return shift_invariant(
        lambda x, y: torch.exp((squared_distance(x, y) + 1e-30).sqrt() / -_broadcast(sigma, x))
    )


def _check(sigma: float | Tensor, name: str) -> None:
    if not bool((sigma > 0).all() if isinstance(sigma, Tensor) else sigma > 0):
        raise ValueError(f"a {name} kernel needs a bandwidth sigma > 0, got {sigma}")


def _broadcast(sigma: float | Tensor, x: Tensor) -> float | Tensor:
    """Returns σ in a shape that broadcasts to kernel matrices (..., M, M'): (...) → (..., 1, 1)."""
    if not isinstance(sigma, Tensor):
        return sigma
    if sigma.numel() == 1:
        return sigma.reshape(()).to(x.device)
    pairs = zip(reversed(sigma.shape), reversed(x.shape[:-2]), strict=False)
    if sigma.dim() > x.dim() - 2 or any(a != b and 1 not in (a, b) for a, b in pairs):
        raise ValueError(
            f"sigma must be a number or one for each batch, of shape {tuple(x.shape[:-2])}, for features "
            f"{tuple(x.shape)}; got shape {tuple(sigma.shape)}"
        )
    return sigma[..., None, None].to(x.device)


def bandwidth(F: Tensor, S: Tensor | None = None) -> Tensor:
    """Returns σ by the paper's rule (§4): σ² is the mean squared distance between features of F and of S.

    The mean is over *all* pairs, in O(NM): mean ‖f − s‖² = mean ‖f‖² + mean ‖s‖² − 2 μ_Fᵀμ_S. S defaults to
    F. Shapes (..., N, M), (..., N, M') → (...). If all positions are identical up to rounding, the result is
    about a thousandth of their root mean square norm, so that division by σ gives finite values.
    """
    F, S = widen(F), widen(F if S is None else S)
    norms = F.square().sum(-2).mean(-1) + S.square().sum(-2).mean(-1)
    squared = norms - 2 * (F.mean(-1) * S.mean(-1)).sum(-1)
    if bool((squared < 0.01 * norms).any()):  # far from the origin, this difference is mostly rounding error
        centre = S.mean(-1, keepdim=True)
        F, S = F - centre, S - centre
        squared = F.square().sum(-2).mean(-1) + S.square().sum(-2).mean(-1)
        squared = squared - 2 * (F.mean(-1) * S.mean(-1)).sum(-1)
    return floor_root(squared, norms)
