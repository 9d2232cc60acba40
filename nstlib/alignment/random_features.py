"""Random Fourier features: a shift-invariant kernel is a mean of cos over its spectrum.

    k(x, y) = κ(‖x − y‖/σ) = E cos(wᵀ(x − y)/σ)        (Bochner 1932; Rahimi and Recht 2007)

    gaussian   κ(r) = exp(−r²/2)    w ~ N(0, I)
    laplace    κ(r) = exp(−r)       w ~ multivariate Cauchy: a normal vector divided by |g|, g ~ N(0, 1)

This module computes means of these features over positions, and draws directions for other methods.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nstlib.alignment.moments import product


class MeanCosine(torch.autograd.Function):
    """Σ p cos(Wx + u) over positions x, with gradients for X and p: X (..., N, M), W (..., D, N), u (D, 1)
    and shares p (..., M), or None for 1/M, give (..., D).

    At relu1_1, the D × M values of cos take far more memory than the features. So they are computed and
    summed block by block, in the processor's cache. The backward pass computes their derivatives −sin(Wx + u)
    from X.
    """

    BLOCK = 1 << 19  # numbers per block: 2 MB

    @staticmethod
    def angles(X: Tensor, W: Tensor, u: Tensor) -> Iterator[tuple[slice, Tensor]]:
        step = max(1, MeanCosine.BLOCK // W[..., 0].numel())
        for start in range(0, X.shape[-1], step):
            block = slice(start, start + step)
            yield block, product(W, X[..., block]).add_(u)  # (..., D, step)

    @staticmethod
    def forward(ctx: Any, X: Tensor, W: Tensor, u: Tensor, p: Tensor | None = None) -> Tensor:
        ctx.save_for_backward(X, W, u, p)
        angles = MeanCosine.angles(X, W, u)
        if p is not None:
            sums = [(angle.cos_() @ p[..., block].unsqueeze(-1)).squeeze(-1) for block, angle in angles]
            return torch.stack(sums).sum(0)
        return torch.stack([angle.cos_().sum(-1) for _, angle in angles]).sum(0) / X.shape[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None, Tensor | None]:
        X, W, u, p = ctx.saved_tensors
        weighted = (W * (-g if p is not None else g / -X.shape[-1]).unsqueeze(-1)).mT  # (..., N, D)
        gradient = torch.empty_like(X)  # keeps X's order in memory
        of_p = torch.empty_like(p) if p is not None and ctx.needs_input_grad[3] else None
        for block, angle in MeanCosine.angles(X, W, u):
            if of_p is not None:
                of_p[..., block] = (g.unsqueeze(-2) @ angle.cos()).squeeze(-2)
            gradient[..., block] = product(weighted, angle.sin_())
        if p is not None:
            gradient *= p.unsqueeze(-2)
        return gradient, None, None, of_p


def directions(count: int, N: int, generator: torch.Generator) -> Tensor:
    """Returns (count, N) unit vectors in float64, in orthogonal groups of N for a more even coverage."""
    blocks = []
    for _ in range(math.ceil(count / N)):
        Q, R = torch.linalg.qr(torch.randn(N, N, generator=generator, dtype=torch.float64))
        blocks.append(Q * R.diagonal().sign())  # with these signs the rotation is uniform (Mezzadri 2007)
    return torch.cat(blocks)[:count]
