"""The polynomial kernel of degree 3, by products of random projections.

    k(x, y) = (xᵀy + c)³ = φ(x)ᵀφ(y),  φ(x) = x̃ ⊗ x̃ ⊗ x̃  with x̃ = (x, √c)

φ has (N + 1)³ entries, two million at N = 128. Three independent vectors u, v, w with E uuᵀ = I give E
(uᵀx̃)(vᵀx̃)(wᵀx̃) (uᵀỹ)(vᵀỹ)(wᵀỹ) = (x̃ᵀỹ)³ (Kar and Karnick 2012), so D products of three projections are
an unbiased sketch of φ; their means over positions are what is remembered. Sees skew, and how three
channels go together; not characteristic: two distributions may agree in all moments up to the third (with
c = 0: in the third alone) and differ.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nstlib.alignment.discrepancy import Discrepancy, Summary, spelled
from nstlib.alignment.moments import shares
from nstlib.alignment.pointwise import product
from nstlib.alignment.spectra import directions


class MeanProduct(torch.autograd.Function):
    """Σ p (Ux + a)(Vx + b)(Wx + c) over positions x with shares p, entry by entry: X (..., N, M),
    matrices (3, D, N), offsets (3, D, 1), p (..., M) → (..., D); gradients for X and p. In blocks, as
    MeanCosine."""

    BLOCK = 1 << 19  # numbers: 2 MB

    @staticmethod
    def blocks(X: Tensor, matrices: Tensor, offsets: Tensor) -> Iterator[tuple[slice, list[Tensor]]]:
        step = max(1, MeanProduct.BLOCK // matrices.shape[1])
        for start in range(0, X.shape[-1], step):
            block = slice(start, start + step)
            part = X[..., block]
            pairs = zip(matrices, offsets, strict=True)
            yield block, [product(W.expand(*X.shape[:-2], *W.shape), part) + c for W, c in pairs]

    @staticmethod
    def forward(ctx: Any, X: Tensor, matrices: Tensor, offsets: Tensor, p: Tensor) -> Tensor:
        ctx.save_for_backward(X, matrices, offsets, p)
        total = X.new_zeros(*X.shape[:-2], matrices.shape[1])
        for block, (a, b, c) in MeanProduct.blocks(X, matrices, offsets):
            total += ((a * b * c) @ p[..., block].unsqueeze(-1)).squeeze(-1)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None, Tensor]:
        X, matrices, offsets, p = ctx.saved_tensors
        gradient, of_p = torch.empty_like(X), torch.empty_like(p)
        for block, (a, b, c) in MeanProduct.blocks(X, matrices, offsets):
            of_p[..., block] = (g.unsqueeze(-2) @ (a * b * c)).squeeze(-2)
            weighted = g.unsqueeze(-1) * p[..., block].unsqueeze(-2)  # (..., D, step)
            slopes = zip(matrices, (b * c, a * c, a * b), strict=True)
            gradient[..., block] = sum(
                product(W.mT.expand(*X.shape[:-2], *W.mT.shape), weighted * others) for W, others in slopes
            )
        return gradient, None, None, of_p


@dataclass(frozen=True)
class CubicMMD(Discrepancy):
    """k(x, y) = (xᵀy + c)³ by D random products: MMD² ≈ ‖mean z(f) − mean z(s)‖², unbiased in the draw.

    c: offset ≥ 0, in units of the features' squares. features: D, or None for N kept within 64 … 128.
    """

    c: float = 0.0
    features: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.c < float("inf"):
            raise ValueError(f"the cubic kernel's offset c must be a finite number >= 0, got {self.c}")
        if self.features is not None and not 1 <= self.features <= 4096:
            raise ValueError(f"cubic takes 1 … 4096 features, got {self.features}")

    def __str__(self) -> str:
        shown = {"c": self.c or None, "features": self.features}
        texts = [f"{k}={spelled(v)}" for k, v in shown.items() if v is not None]
        return f"cubic({','.join(texts)})" if texts else "cubic"

    def seeded(self, seed: int) -> Self:
        return replace(self, seed=seed)

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        N = S.shape[-2]
        D = self.features or min(128, max(64, N))
        generator = torch.Generator().manual_seed(self.seed)
        U = torch.stack([directions(D, N + 1, generator) for _ in range(3)]).to(S) * (N + 1) ** 0.5
        summary = {"matrices": U[..., :N].contiguous(), "offsets": U[..., N:] * self.c**0.5}
        return summary | {"products": self.sketch(S, summary, weights)}

    def sketch(self, X: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        """mean z over positions: (..., N, M) → (..., D)."""
        uniform = X.new_ones(()).expand(*X.shape[:-2], X.shape[-1])
        p = shares(X, uniform if weights is None else weights)
        matrices, offsets = summary["matrices"], summary["offsets"]
        products: Tensor = MeanProduct.apply(X, matrices, offsets, p)  # type: ignore[no-untyped-call]
        return products / math.sqrt(matrices.shape[1])

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        return (self.sketch(F, summary, weights) - summary["products"]).square().sum(-1)
