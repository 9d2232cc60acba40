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

import torch
from torch import Tensor

Kernel = Callable[[Tensor, Tensor], Tensor]


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

    Raises ValueError for a bandwidth that is not positive.
    """
    _check(sigma, "Gaussian")
    return lambda x, y: torch.exp(squared_distance(x, y) / (-2 * sigma**2))


def laplace(sigma: float | Tensor) -> Kernel:
    """k(x, y) = exp(−‖x − y‖ / σ) with bandwidth σ > 0, as a function of (x, y).

    Its gradient at x = y, where it has a cusp, is 0. Raises ValueError for a bandwidth that is not positive.
    """
    _check(sigma, "Laplace")
    return lambda x, y: torch.exp((squared_distance(x, y) + 1e-30).sqrt() / -sigma)


def _check(sigma: float | Tensor, name: str) -> None:
    if not bool(torch.as_tensor(sigma > 0).all()):
        raise ValueError(f"a {name} kernel needs a bandwidth sigma > 0, got {sigma}")


def bandwidth(F: Tensor, S: Tensor | None = None) -> Tensor:
    """The paper's rule (§4): σ² is the mean squared distance between positions of F and of S.

    Over *all* pairs, in O(NM): mean ‖f − s‖² = mean ‖f‖² + mean ‖s‖² − 2 μ_Fᵀμ_S. S defaults to F.
    Shapes (..., N, M), (..., N, M') → (...). Identical positions everywhere give σ² = 0; the result
    is floored so that dividing by it stays finite.
    """
    S = F if S is None else S
    norms = F.square().sum(-2).mean(-1) + S.square().sum(-2).mean(-1)
    squared = norms - 2 * (F.mean(-1) * S.mean(-1)).sum(-1)
    return squared.clamp(min=1e-6 * norms + 1e-12).sqrt()
