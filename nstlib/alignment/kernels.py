"""Kernels k(x, y) between feature vectors: what it means for two positions to look alike.

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
    """Marks a kernel whose MMD does not change if both samples are shifted by the same vector; returns it.

    `mmd2` and `permutation_test` centre the samples of such a kernel first, so that rounding does not grow
    with the distance from the origin. Every k(x − y) is such a kernel, and so is the linear one.
    """
    kernel.shift_invariant = True  # type: ignore[attr-defined]
    return kernel


@shift_invariant
def linear(x: Tensor, y: Tensor) -> Tensor:
    """k(x, y) = xᵀy. Shapes (..., N, M), (..., N, M') → (..., M, M')."""
    return x.mT @ y


def polynomial(c: float = 0.0, d: int = 2) -> Kernel:
    """k(x, y) = (xᵀy + c)^d with offset c ≥ 0 and degree d ≥ 1, as a function of (x, y).

    Raises ValueError where the kernel would not be positive definite (c < 0 or d < 1).
    """
    if c < 0 or d < 1 or not math.isfinite(c):
        raise ValueError(
            f"a polynomial kernel needs a finite offset c >= 0 and a degree d >= 1, got {c=}, {d=}"
        )
    return lambda x, y: (x.mT @ y + c) ** d


def squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """‖x − y‖² ≥ 0. Shapes (..., N, M), (..., N, M') → (..., M, M')."""
    # = ‖x‖² + ‖y‖² − 2xᵀy; rounding may leave it a little below zero
    squared = x.square().sum(-2).unsqueeze(-1) + y.square().sum(-2).unsqueeze(-2) - 2 * (x.mT @ y)
    return squared.clamp(min=0)


def gaussian(sigma: float | Tensor) -> Kernel:
    """k(x, y) = exp(−‖x − y‖² / 2σ²) with bandwidth σ > 0, as a function of (x, y).

    sigma: a number, or a tensor (...) with one for each sample of a batch, as `bandwidth` returns it.
    Raises ValueError for a bandwidth that is not positive.
    """
    _check(sigma, "Gaussian")
    return shift_invariant(lambda x, y: torch.exp(squared_distance(x, y) / (-2 * _broadcast(sigma, x) ** 2)))


def laplace(sigma: float | Tensor) -> Kernel:
    """k(x, y) = exp(−‖x − y‖ / σ) with bandwidth σ > 0, as a function of (x, y).

    sigma: as for `gaussian`. The gradient at x = y, where the kernel has a cusp, is 0.
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
    """σ so that it broadcasts against kernel matrices (..., M, M'): (...) → (..., 1, 1)."""
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
    """The paper's rule (§4): σ² is the mean squared distance between feature vectors of F and of S.

    Over *all* pairs, in O(NM): mean ‖f − s‖² = mean ‖f‖² + mean ‖s‖² − 2 μ_Fᵀμ_S. S defaults to F.
    Shapes (..., N, M), (..., N, M') → (...). Positions that are identical up to rounding have no scale of
    their own: the result is then a thousandth of their root mean square norm, so that dividing by it stays
    finite.
    """
    F, S = widen(F), widen(F if S is None else S)
    norms = F.square().sum(-2).mean(-1) + S.square().sum(-2).mean(-1)
    squared = norms - 2 * (F.mean(-1) * S.mean(-1)).sum(-1)
    if bool((squared < 0.01 * norms).any()):  # far from the origin, where this difference is mostly rounding
        centre = S.mean(-1, keepdim=True)
        F, S = F - centre, S - centre
        squared = F.square().sum(-2).mean(-1) + S.square().sum(-2).mean(-1)
        squared = squared - 2 * (F.mean(-1) * S.mean(-1)).sum(-1)
    return floor_root(squared, norms)
