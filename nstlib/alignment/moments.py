"""First and second moments of a set of feature vectors, F (..., N, M) → what Gram, linear and BN remember.

    mean      μ = F 1 / M                        ∂/∂F = g 1ᵀ / M
    variance  σ² = mean (F − μ)²                 ∂/∂F = 2 g (F − μ) / M
    gram      G = F Fᵀ / M                       ∂/∂F = (g + gᵀ) F / M

At the first layers F is by far the largest thing in a run, and derived operation by operation its
gradient is written several times over. Here it is written once, in F's own order in memory.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nstlib.alignment.pointwise import outer, product


def mean(F: Tensor) -> Tensor:
    """μ: (..., N, M) → (..., N). Divided after the sum, so that its gradient is N numbers, not N × M."""
    return F.sum(-1) / F.shape[-1]


def variance_mean(F: Tensor) -> tuple[Tensor, Tensor]:
    """σ² (biased: over M) and μ: (..., N, M) → (..., N), (..., N)."""
    variance, mean = _VarianceMean.apply(F)  # type: ignore[no-untyped-call]
    return variance, mean


def gram(F: Tensor) -> Tensor:
    """G = FFᵀ/M: (..., N, M) → (..., N, N)."""
    G: Tensor = _Gram.apply(F)  # type: ignore[no-untyped-call]
    return G


class _VarianceMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, F: Tensor) -> tuple[Tensor, Tensor]:
        mean = F.sum(-1) / F.shape[-1]
        variance = (F - mean.unsqueeze(-1)).square_().sum(-1) / F.shape[-1]  # a fifth of var_mean's time
        ctx.save_for_backward(F, mean)
        return variance, mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_variance: Tensor, g_mean: Tensor) -> Tensor:
        F, mean = ctx.saved_tensors
        slope = 2 * g_variance / F.shape[-1]
        offset = g_mean / F.shape[-1] - slope * mean
        gradient: Tensor = torch.addcmul(offset.unsqueeze(-1), slope.unsqueeze(-1), F)
        return gradient


class _Gram(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, F: Tensor) -> Tensor:
        ctx.save_for_backward(F)
        return outer(F) / F.shape[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (F,) = ctx.saved_tensors
        symmetric = (g + g.mT) / F.shape[-1]
        return product(symmetric, F)
