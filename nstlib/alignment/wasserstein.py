"""Gaussian Wasserstein-2: two sets of features as two Gaussians, and the cost of moving one onto the other.

    W₂²[F, S] = ‖μ_F − μ_S‖² + tr(C_F + C_S − 2 (C_S^{1/2} C_F C_S^{1/2})^{1/2})

(Dowson and Landau 1982; Bures' metric on covariances C.) Not one of the paper's: like a polynomial kernel
with c > 0 it sees means and covariances, but it measures how far features must *move*, so that strong and
weak directions count alike, where ‖G − A‖² squares a square and the strongest directions drown the others.

Its gradient is the optimal map's displacement: ∂/∂f = 2/M (f − μ_S − T (f − μ_F)) with
T = C_S^{1/2} (C_S^{1/2} C_F C_S^{1/2})^{-1/2} C_S^{1/2}.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nstlib.alignment.discrepancy import Discrepancy, Summary, spelled
from nstlib.alignment.moments import covariance_mean


class TraceRoot(torch.autograd.Function):
    """tr B^{1/2} of symmetric B (..., N, N) in float64, its gradient ½ B^{-1/2}: the eigenvalues of a product
    of covariances span more orders of magnitude than float32 holds."""

    @staticmethod
    def forward(ctx: Any, B: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(B)
        roots: Tensor = values.clamp(min=torch.finfo(torch.float64).eps * values[..., -1:]).sqrt()
        ctx.save_for_backward(roots, vectors)
        return roots.sum(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        roots, vectors = ctx.saved_tensors
        slope: Tensor = (vectors / (2 * roots).unsqueeze(-2)) @ vectors.mT
        return slope * g[..., None, None]


@dataclass(frozen=True)
class Wasserstein(Discrepancy):
    """W₂² between the Gaussians of F's and of S's mean and covariance: 0 exactly where both are equal.

    Both covariances get `ridge` times the style's mean variance added on the diagonal, as if a little
    noise lay on both: the distance stays a distance, and where an image has fewer positions than channels,
    or a dead channel, the gradient stays finite. Covariances are compared on the CPU, in float64, which not
    every device has.
    """

    ridge: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.ridge < float("inf"):
            raise ValueError(f"wasserstein's ridge must be a finite number > 0, got {self.ridge}")

    def __str__(self) -> str:
        return "wasserstein" if self.ridge == 1e-3 else f"wasserstein(ridge={spelled(self.ridge)})"

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        C, mean = covariance_mean(S, weights)
        C = C.cpu().double()
        ridge = self.ridge * C.diagonal(dim1=-2, dim2=-1).mean(-1) + torch.finfo(S.dtype).eps
        noise = ridge[..., None, None] * torch.eye(C.shape[-1], dtype=C.dtype)
        values, vectors = torch.linalg.eigh(C + noise)
        values = values.clamp(min=ridge.unsqueeze(-1))
        return {
            "mean": mean,
            "root": (vectors * values.sqrt().unsqueeze(-2)) @ vectors.mT,  # C_S^{1/2}, float64
            "trace": values.sum(-1),
            "noise": noise,
        }

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        C, mean = covariance_mean(F, weights)
        C = C.cpu().double() + summary["noise"]  # (..., N, N), float64 on the CPU from here
        R = summary["root"]
        trace_root: Tensor = TraceRoot.apply(R @ C @ R)  # type: ignore[no-untyped-call]
        moved = C.diagonal(dim1=-2, dim2=-1).sum(-1) + summary["trace"] - 2 * trace_root
        # in two steps, so that the gradient leaves F's device before it becomes float64
        return (mean - summary["mean"]).square().sum(-1) + moved.clamp(min=0).to(F.dtype).to(F.device)
