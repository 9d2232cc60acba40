"""The Gaussian kernel's MMD², by two estimators whose cost is linear in the number of positions.

k(x, y) = exp(−‖x − y‖² / 2σ²) has no finite feature map. The paper's estimator compares random pairs at each
step (linear_time.py). The default compares means of D random Fourier features over *all* positions:

    z(x) = √(2/D) cos(Wx + u),   W ~ N(0, σ⁻²),  u ~ U(0, 2π),   k(x, y) ≈ z(x)ᵀz(y)
    MMD² ≈ ‖mean z(f) − mean z(s)‖²
"""

import math
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.kernels import bandwidth
from nstlib.alignment.linear_time import paired_mmd2
from nstlib.alignment.moments import normalize_weights, weighted_bandwidth
from nstlib.alignment.options import POSITIVE
from nstlib.alignment.random_features import MeanCosine


@dataclass(frozen=True)
class GaussianMMD(Discrepancy):
    """MMD² of the Gaussian kernel k(x, y) = exp(−‖x − y‖² / 2σ²), which is sensitive to every moment.

    The kernel is characteristic: the exact MMD is zero only for equal distributions. The averages of D random
    features can agree for different distributions. The smaller D is, the more easily a run finds an image
    with the averages of the style but a different distribution.

    Args:
        sigma: bandwidth > 0, or None for the paper's rule: σ² is the mean squared distance between features.
            With estimator="features", these are the features of the style. With "paired", they are the drawn
            features. σ gets no gradient.
        estimator: "features" (a departure from the paper; deterministic for a seed) or the paper's "paired".
        bandwidth_factor: multiplies the bandwidth, > 0.
        n_features: D ≥ 1, or None for 2N clamped to 64 … 512.
        seed: seed of the random features, or of the pairs.
        scales: number of averaged kernels, 1 … 9. Their bandwidths are an octave apart (Long et al. 2015).

    Raises:
        ValueError: An option is out of range.
    """

    name = "gaussian"
    limits: ClassVar = {
        "sigma": POSITIVE,
        "bandwidth_factor": POSITIVE,
        "n_features": (1, math.inf),
        "scales": (1, 9),
    }
    sigma: float | None = None
    estimator: Literal["features", "paired"] = "features"
    bandwidth_factor: float = 1.0
    n_features: int | None = None
    seed: int = 0
    scales: int = 1
    _generator: torch.Generator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimator not in ("features", "paired"):
            raise ValueError(f"{self.name}: estimator must be 'features' or 'paired', got {self.estimator!r}")
        object.__setattr__(self, "_generator", torch.Generator().manual_seed(self.seed))

    def width(self, F: Tensor, S: Tensor, weights: Tensor | None = None) -> Tensor:
        """Returns σ as a constant tensor (...).

        With `weights` for the positions of S, σ is computed from S alone, so F must be S.
        """
        if self.sigma is not None:
            return torch.as_tensor(self.sigma * self.bandwidth_factor, dtype=F.dtype, device=F.device)
        if weights is None:
            return bandwidth(F.detach(), S.detach()) * self.bandwidth_factor
        return weighted_bandwidth(S.detach(), weights) * self.bandwidth_factor

    @property
    def additive(self) -> bool:
        return super().additive and self.estimator == "features"

    def parameters(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        if self.estimator == "paired":
            return {}
        D = self.n_features or min(512, max(64, 2 * S.shape[-2]))
        generator = torch.Generator().manual_seed(self.seed)
        W = self.spectrum(D, S.shape[-2], generator).to(S)
        u = 2 * torch.pi * torch.rand(D, 1, generator=generator, dtype=torch.float64).to(S)
        return {"frequencies": W / self.width(S, S, weights)[..., None, None], "phases": u}

    def spectrum(self, D: int, N: int, generator: torch.Generator) -> Tensor:
        """Returns W (D, N) for σ = 1. Row i belongs to bandwidth number i modulo `scales`."""
        octaves = torch.arange(D, dtype=torch.float64) % self.scales - (self.scales - 1) / 2
        return torch.randn(D, N, generator=generator, dtype=torch.float64) * 2 ** octaves.unsqueeze(-1)

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        """Returns mean √(2/D) cos(Wf + u), (..., D), or the sample itself for pairs."""
        if self.estimator == "paired":
            return {"sample": F} | ({} if weights is None else {"weights": weights})
        W, u = summary["frequencies"], summary["phases"]
        p = None if weights is None else normalize_weights(F, weights)
        mean: Tensor = MeanCosine.apply(F, W, u, p)  # type: ignore[no-untyped-call]
        return {"embedding": mean * math.sqrt(2 / W.shape[-2])}

    def compare(self, embedding: Summary, summary: Summary) -> Tensor:
        if self.estimator != "paired":
            return super().compare(embedding, summary)
        F, S = embedding["sample"], summary["sample"]
        own = embedding.get("weights"), summary.get("weights")
        return paired_mmd2(F, S, self.width, self._generator, *own)
