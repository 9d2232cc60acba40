"""Any kernel, in time linear in the positions: its MMD seen from L landmarks (Nyström).

A kernel k without a short feature map still has the functions k(l, ·) of L points l. Projected on their
span,

    MMD²[F, S] ≈ aᵀ K⁻¹ a,   a_l = mean k(l, f) − mean k(l, s),   K_ll' = k(l, l')

(Chatalic et al. 2022). It is a lower bound of MMD², exact once the landmarks tell all positions apart. The
landmarks are positions of the style, so what lies far from the style is seen less the faster k falls off.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.kernels import Kernel
from nstlib.alignment.moments import mean, shares, spread

RIDGE = 1e-5  # of the kernel's mean diagonal: landmarks may nearly coincide


@dataclass(frozen=True)
class KernelMMD(Discrepancy):
    """MMD² of a kernel of your own, k(x, y): (..., N, M), (..., N, M') → (..., M, M'), positive definite.

    name: what `str` gives and `nstlib.register` made known. landmarks: L, at most; O(LNM). Features come to
    the kernel in units of σ, the root mean squared distance of the style's positions (paper, §4).
    Whether it is characteristic is the kernel's; from L landmarks no kernel is.
    """

    kernel: Kernel
    name: str = "kernel"
    landmarks: int = 128
    seed: int = 0

    def __str__(self) -> str:
        return self.name if self.landmarks == 128 else f"{self.name}(landmarks={self.landmarks})"

    def __post_init__(self) -> None:
        if not 1 <= self.landmarks <= 4096:
            raise ValueError(f"a kernel takes 1 … 4096 landmarks, got {self.landmarks}")

    def seeded(self, seed: int) -> Self:
        return replace(self, seed=seed)

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        generator = torch.Generator().manual_seed(self.seed)
        present = torch.arange(S.shape[-1])
        if weights is not None:  # landmarks of every batch from where any of them counts
            present = present[(shares(S, weights) > 0).reshape(-1, S.shape[-1]).any(0).cpu()]
        chosen = present[torch.randperm(len(present), generator=generator)[: self.landmarks]]
        sigma = spread(S.detach(), weights)[..., None, None]
        L = S[..., chosen.to(S.device)] / sigma
        K = self.kernel(L, L)
        ridge = RIDGE * K.diagonal(dim1=-2, dim2=-1).abs().mean(-1)[..., None, None].cpu().double()
        root = torch.linalg.cholesky(K.cpu().double() + ridge * torch.eye(K.shape[-1], dtype=torch.float64))
        summary = {"landmarks": L, "sigma": sigma, "root": root.to(S)}
        return summary | {"mean": self.embed(S, summary, weights)}

    def embed(self, X: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        """R⁻¹ mean k(l, x), K = R Rᵀ: (..., N, M) → (..., L)."""
        seen = mean(self.kernel(summary["landmarks"], X / summary["sigma"]), weights)
        solved: Tensor = torch.linalg.solve_triangular(summary["root"], seen.unsqueeze(-1), upper=False)
        return solved.squeeze(-1)

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        return (self.embed(F, summary, weights) - summary["mean"]).square().sum(-1)
