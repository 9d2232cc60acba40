"""The Gaussian kernel's discrepancy, by two estimators that are linear in the number of positions.

k(x, y) = exp(−‖x − y‖² / 2σ²) has no finite feature map, and its MMD by definition is O(M²). The paper
compares a few random pairs a step; we compare averages of D random cosines over *all* positions.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nstlib.alignment.discrepancy import Discrepancy, Summary, spelled
from nstlib.alignment.kernels import bandwidth, gaussian
from nstlib.alignment.moments import shares, spread
from nstlib.alignment.pointwise import product
from nstlib.alignment.spectra import SAMPLINGS, Sampling, normal


class MeanCosine(torch.autograd.Function):
    """Σ p cos(Wx + u) over positions x, with shares p (..., M) or None for 1/M:
    X (..., N, M), W (..., D, N), u (D, 1) → (..., D); gradients for X and p.

    At relu1_1 the cosines are many times the features. They are made, used and forgotten block by block,
    in the processor's cache, and their derivatives −sin(Wx + u) again in backward.
    """

    BLOCK = 1 << 19  # numbers: 2 MB

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


@dataclass(frozen=True)
class GaussianMMD(Discrepancy):
    """k(x, y) = exp(−‖x − y‖² / 2σ²): sees every moment, at the scale of the bandwidth σ.

    estimator="features" (default; departs from the paper): random Fourier features
        z(x) = √(2/D) cos(Wx + u),  W ~ N(0, σ⁻²),  u ~ U(0, 2π),  k(x, y) ≈ z(x)ᵀz(y),
    so MMD² ≈ ‖mean z(f) − mean z(s)‖²: all positions, deterministic for a seed, fit for L-BFGS.
    estimator="paired" (the paper, after Gretton et al. 2012, Lemma 14): unbiased and linear-time,
        mean of h = k(f₁,f₂) + k(s₁,s₂) − k(f₁,s₂) − k(f₂,s₁) over freshly drawn pairs; may be negative.

    sigma: bandwidth, or None for the paper's rule (mean squared distance: of style positions for
    "features", of the sampled pairs for "paired"), constant in the gradient. factor multiplies it.
    features: D, or None for 2N kept within 64 … 512. seed: of W and u, or of the pairs. scales: bandwidths,
    an octave apart and σ in their middle, whose kernels are averaged (Long et al. 2015): near and far count
    alike. sampling: how W covers its distribution (see spectra.py).

    Characteristic: the exact MMD is zero for equal distributions only. The D cosines are not: D averages
    can agree although distributions differ, and the fewer they are, the more an optimiser finds such
    pictures.
    """

    sigma: float | None = None
    estimator: Literal["features", "paired"] = "features"
    factor: float = 1.0
    features: int | None = None
    seed: int = 0
    scales: int = 1
    sampling: Sampling = "plain"
    _generator: torch.Generator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.estimator not in ("features", "paired"):
            raise ValueError(f"estimator must be 'features' or 'paired', got {self.estimator!r}")
        if self.sampling not in SAMPLINGS:
            raise ValueError(f"sampling must be one of {', '.join(SAMPLINGS)}, got {self.sampling!r}")
        if not 1 <= self.scales <= 9:
            raise ValueError(f"the Gaussian's scales must lie in 1 … 9, got {self.scales}")
        for name in ("sigma", "factor", "features"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"the Gaussian's {name} must be a finite number > 0, got {value}")
        object.__setattr__(self, "_generator", torch.Generator().manual_seed(self.seed))

    def __str__(self) -> str:
        shown = {"sigma": self.sigma, "factor": self.factor, "features": self.features}
        texts = [f"{k}={spelled(v)}" for k, v in shown.items() if v is not None and (k, v) != ("factor", 1)]
        texts += [f"scales={self.scales}"] if self.scales != 1 else []
        texts += [f"sampling={self.sampling}"] if self.sampling != "plain" else []
        texts += ["estimator=paired"] if self.estimator == "paired" else []
        return f"gaussian({','.join(texts)})" if texts else "gaussian"

    def seeded(self, seed: int) -> Self:
        return replace(self, seed=seed)

    def width(self, F: Tensor, S: Tensor, weights: Tensor | None = None) -> Tensor:
        """σ as a constant tensor (...). Weights, of the positions of S, stand where F is S."""
        if self.sigma is not None:
            return torch.as_tensor(self.sigma * self.factor, dtype=F.dtype, device=F.device)
        if weights is None:
            return bandwidth(F.detach(), S.detach()) * self.factor
        return spread(S.detach(), weights) * self.factor

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        if self.estimator == "paired":
            return {"sample": S} | ({} if weights is None else {"weights": weights})
        N = S.shape[-2]
        D = self.features or min(512, max(64, 2 * N))
        generator = torch.Generator().manual_seed(self.seed)
        W = self.spectrum(D, N, generator).to(S)
        u = 2 * torch.pi * torch.rand(D, 1, generator=generator, dtype=torch.float64).to(S)
        frequencies = W / self.width(S, S, weights)[..., None, None]
        summary = {"frequencies": frequencies, "phases": u}
        return summary | {"embedding": self.embed(S, summary, weights)}

    def spectrum(self, D: int, N: int, generator: torch.Generator) -> Tensor:
        """W (D, N) for σ = 1, bandwidths in turn."""
        octaves = torch.arange(D, dtype=torch.float64) % self.scales - (self.scales - 1) / 2
        return normal(D, N, generator, self.sampling) * 2 ** octaves.unsqueeze(-1)

    def embed(self, X: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        """mean √(2/D) cos(Wx + u) over positions: (..., N, M) → (..., D)."""
        W, u = summary["frequencies"], summary["phases"]
        p = None if weights is None else shares(X, weights)
        mean: Tensor = MeanCosine.apply(X, W, u, p)  # type: ignore[no-untyped-call]
        return mean * math.sqrt(2 / W.shape[-2])

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        if self.estimator == "paired":
            return self.paired(F, summary["sample"], weights, summary.get("weights"))
        return (self.embed(F, summary, weights) - summary["embedding"]).square().sum(-1)

    def paired(self, F: Tensor, S: Tensor, of_F: Tensor | None = None, of_S: Tensor | None = None) -> Tensor:
        """The estimate from fresh pairs; weighted positions are drawn as often as they count."""
        half = min(F.shape[-1], S.shape[-1]) // 2
        if half < 1:
            raise ValueError("the paired estimator needs at least two positions in each sample")
        i, j = self.draw(F, of_F, 2 * half), self.draw(S, of_S, 2 * half)
        f1, f2 = F[..., i[:half]], F[..., i[half:]]
        s1, s2 = S[..., j[:half]], S[..., j[half:]]
        k = gaussian(self.width(torch.cat([f1, f2], -1), torch.cat([s1, s2], -1))[..., None])

        def each(x: Tensor, y: Tensor) -> Tensor:  # k(x_i, y_i), pair by pair: (..., half)
            return k(x.mT.unsqueeze(-1), y.mT.unsqueeze(-1))[..., 0, 0]

        h = each(f1, f2) + each(s1, s2) - each(f1, s2) - each(f2, s1)
        return torch.mean(h, -1)

    def draw(self, X: Tensor, weights: Tensor | None, count: int) -> Tensor:
        """Indices of positions of X: without repetition, or by weights (M), the same for a whole batch."""
        if weights is None:
            return torch.randperm(X.shape[-1], generator=self._generator)[:count].to(X.device)
        p = shares(X, weights.flatten()).cpu()
        return torch.multinomial(p, count, replacement=True, generator=self._generator).to(X.device)
