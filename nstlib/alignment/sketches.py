"""Kernels that the paper does not use, each approximated by a finite feature map (a sketch).

    laplace   exp(−‖x − y‖/σ)    random Fourier features
    cubic     (xᵀy + c)³         products of three random projections
    any       k(x, y)            landmarks

The Laplace kernel decreases slowly, so features far from those of the style still get a gradient. Its cusp at
x = y gives a gradient to near features, too. The kernel is characteristic, but means of D features are not.

The cubic kernel's φ(x) = x̃ ⊗ x̃ ⊗ x̃ with x̃ = (x, √c) has (N + 1)³ entries, two million at N = 128. For
independent random vectors u, v, w, each with E uuᵀ = I, E (uᵀx̃)(vᵀx̃)(wᵀx̃) (uᵀỹ)(vᵀỹ)(wᵀỹ) = (x̃ᵀỹ)³ (Kar
and Karnick 2012). So D products of three projections are an unbiased sketch of φ. The kernel is sensitive to
skew and to joint variation of three channels, but it is not characteristic.

Any other kernel is approximated on the span of the functions k(l, ·) of L landmarks l (Nyström). There MMD² ≈
aᵀ K⁻¹ a with a_l = mean k(l, f) − mean k(l, s) and K_ll' = k(l, l') (Chatalic et al. 2022). This is a lower
bound, which is exact if the span contains k(x, ·) for all positions x. Landmarks are positions of the style,
so features far from the style count less.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.kernels import Kernel
from nstlib.alignment.moments import mean, normalize_weights, product, weighted_bandwidth
from nstlib.alignment.options import NOT_NEGATIVE
from nstlib.alignment.random_features import directions

NARROWEST = 0.5  # smallest bandwidth in the Laplace kernel's mixture, relative to σ
RIDGE = 1e-5  # added to the diagonal of K, relative to its mean: landmarks may nearly coincide


@dataclass(frozen=True)
class LaplaceMMD(GaussianMMD):
    """MMD² of the Laplace kernel exp(−‖x − y‖/σ), by random Fourier features (Rahimi and Recht 2007).

    Its options are those of `GaussianMMD`, but the paired estimator and several scales raise ValueError. The
    kernel is a mixture of Gaussian kernels of all widths. Widths below σ/2 are raised to σ/2, because the
    optimiser would see only noise in them. `kernels.laplace` is the exact kernel.
    """

    name = "laplace"

    def __post_init__(self) -> None:
        if self.estimator != "features" or self.scales != 1:
            raise ValueError("laplace has the estimator 'features' and one bandwidth only")
        super().__post_init__()

    def spectrum(self, D: int, N: int, generator: torch.Generator) -> Tensor:
        """Returns W (D, N), multivariate Cauchy: normal vectors divided by |g|, with g normal. The |g| are
        quantiles in random order, not random draws."""
        u = (torch.arange(D, dtype=torch.float64) + 0.5) / D
        widths: Tensor = torch.special.ndtri(0.5 + u / 2)[torch.randperm(D, generator=generator)]
        normal = torch.randn(D, N, generator=generator, dtype=torch.float64)
        return normal / widths.clamp(min=NARROWEST).unsqueeze(-1)


@dataclass(frozen=True)
class CubicMMD(Discrepancy):
    """MMD² of the cubic kernel (xᵀy + c)³, estimated without bias from D random features z: ‖mean z(f) − mean
    z(s)‖² (Kar and Karnick 2012).

    Args:
        c: offset ≥ 0, in the unit of xᵀy.
        n_features: D, 1 … 4096, or None for N clamped to 64 … 128.
        seed: seed of the random projections.

    Raises:
        ValueError: An option is out of range.
    """

    name, limits = "cubic", {"c": NOT_NEGATIVE, "n_features": (1, 4096)}
    c: float = 0.0
    n_features: int | None = None
    seed: int = 0

    def parameters(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        N = S.shape[-2]
        D = self.n_features or min(128, max(64, N))
        generator = torch.Generator().manual_seed(self.seed)
        U = torch.stack([directions(D, N + 1, generator) for _ in range(3)]).to(S) * (N + 1) ** 0.5
        return {"matrices": U[..., :N].contiguous(), "offsets": U[..., N:] * self.c**0.5}

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        pairs = zip(summary["matrices"], summary["offsets"], strict=True)
        u, v, w = (product(U.expand(*F.shape[:-2], *U.shape), F) + offset for U, offset in pairs)
        return {"embedding": mean(u * v * w, weights) / math.sqrt(u.shape[-2])}


@dataclass(frozen=True)
class KernelMMD(Discrepancy):
    """MMD² of any kernel, approximated from L landmarks, in O(LNM) (Nyström; Chatalic et al. 2022).

    The kernel receives features divided by σ, the root mean squared distance between the style's positions
    (paper, §4). The approximation is not characteristic, even if the kernel is.

    Args:
        kernel: k(x, y), positive definite: (..., N, M), (..., N, M') → (..., M, M').
        name: the name under which `nstlib.register` registered it, for `str`.
        landmarks: maximum number L of landmarks, 1 … 4096.
        seed: seed of the choice of landmarks.

    Raises:
        ValueError: The number of landmarks is out of range.
    """

    limits: ClassVar = {"landmarks": (1, 4096)}
    kernel: Kernel
    name: str = "kernel"
    landmarks: int = 128
    seed: int = 0

    def parameters(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        generator = torch.Generator().manual_seed(self.seed)
        present = torch.arange(S.shape[-1])
        if weights is not None:  # only positions with a weight in some sample of the batch
            present = present[(normalize_weights(S, weights) > 0).reshape(-1, S.shape[-1]).any(0).cpu()]
        chosen = present[torch.randperm(len(present), generator=generator)[: self.landmarks]]
        sigma = weighted_bandwidth(S.detach(), weights)[..., None, None]
        L = S[..., chosen.to(S.device)] / sigma
        K = self.kernel(L, L)
        ridge = RIDGE * K.diagonal(dim1=-2, dim2=-1).abs().mean(-1)[..., None, None].cpu().double()
        root = torch.linalg.cholesky(K.cpu().double() + ridge * torch.eye(K.shape[-1], dtype=torch.float64))
        return {"landmarks": L, "sigma": sigma, "root": root.to(S)}

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        """Returns R⁻¹ mean k(l, f) with K = R Rᵀ: (..., L)."""
        seen = mean(self.kernel(summary["landmarks"], F / summary["sigma"]), weights)
        solved: Tensor = torch.linalg.solve_triangular(summary["root"], seen.unsqueeze(-1), upper=False)
        return {"embedding": solved.squeeze(-1)}
