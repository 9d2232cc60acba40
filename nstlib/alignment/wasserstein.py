"""Further discrepancies of moments: Gaussian Wasserstein-2, CORAL and central moments.

    wasserstein   ‖μ_F − μ_S‖² + tr(C_F + C_S − 2 (C_S^{1/2} C_F C_S^{1/2})^{1/2})              O(N²M + N³)
    coral         ‖C_F − C_S‖² / 4N²                                                            O(N²M)
    cmd           ‖μ_F − μ_S‖² / Nr² + Σ_{k=2..K} ‖c_k(F) − c_k(S)‖² / N r^{2k}                 O(KNM)

C is the covariance, c_k = mean (f − μ_F)^k channel by channel, and r the range of the style's features, which
makes moments of different orders comparable. None of the three is characteristic.

W₂² (Dowson and Landau 1982; Bures' metric on covariances) is the cost of moving one Gaussian to the other.
Like a polynomial kernel with c > 0, it compares means and covariances. But it measures how far features must
*move*, so strong and weak directions count alike. The Gram loss is of fourth order in the features, so the
strongest directions hide the others. The gradient of W₂² is the displacement,
∂/∂f = 2/M (f − μ_S − T (f − μ_F)), with the optimal map
T = C_S^{1/2} (C_S^{1/2} C_F C_S^{1/2})^{-1/2} C_S^{1/2}.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.moments import (
    embed_covariance,
    mean,
    narrow,
    normalize_weights,
    split_covariance,
    wide,
)
from nstlib.alignment.options import POSITIVE


@dataclass(frozen=True)
class Wasserstein(Discrepancy):
    """W₂² between two Gaussians with the means and covariances of F and S: 0 if and only if both agree.

    A ridge on both covariances keeps the gradient finite if there are fewer positions than channels, or a
    dead channel. W₂ remains a distance. Covariances are compared in float64 on the CPU, because not every
    device has float64. Source: Dowson and Landau 1982.

    Args:
        ridge: > 0. Both covariances get this multiple of the style's mean variance on the diagonal.

    Raises:
        ValueError: The ridge is out of range.
    """

    name, limits = "wasserstein", {"ridge": POSITIVE}
    ridge: float = 1e-3

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        return embed_covariance(F, weights)

    def statistics(self, embedding: Summary, like: Tensor) -> Summary:
        C, mean = split_covariance(embedding, like)
        C = C.cpu().double()
        ridge = self.ridge * C.diagonal(dim1=-2, dim2=-1).mean(-1) + torch.finfo(like.dtype).eps
        noise = ridge[..., None, None] * torch.eye(C.shape[-1], dtype=C.dtype)
        values, vectors = torch.linalg.eigh(C + noise)
        values = values.clamp(min=ridge.unsqueeze(-1))
        return {
            "mean": mean,
            "root": (vectors * values.sqrt().unsqueeze(-2)) @ vectors.mT,  # C_S^{1/2}, float64
            "trace": values.sum(-1),
            "noise": noise,
        }

    def compare(self, embedding: Summary, summary: Summary) -> Tensor:
        C, mean = split_covariance(embedding, summary["mean"])
        C = C.cpu().double() + summary["noise"]  # (..., N, N), float64 on the CPU from here
        values: Tensor = torch.linalg.eigvalsh(summary["root"] @ C @ summary["root"])
        least = torch.finfo(torch.float64).eps * values.detach()[..., -1:]
        trace_root = values.clamp(min=least).sqrt().sum(-1)
        moved = C.diagonal(dim1=-2, dim2=-1).sum(-1) + summary["trace"] - 2 * trace_root
        return (mean - summary["mean"]).square().sum(-1) + narrow(moved.clamp(min=0), mean)


@dataclass(frozen=True)
class Coral(Discrepancy):
    """Correlation alignment: ‖C_F − C_S‖² / 4N², which compares only covariances (Sun and Saenko 2016).

    It is 0 if the covariances are equal, whatever the means are. So it ignores mean colour and brightness.
    """

    name = "coral"

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        return embed_covariance(F, weights)

    def statistics(self, embedding: Summary, like: Tensor) -> Summary:
        return {"covariance": split_covariance(embedding, like)[0]}

    def compare(self, embedding: Summary, summary: Summary) -> Tensor:
        C, _ = split_covariance(embedding, summary["covariance"])
        return (C - summary["covariance"]).square().sum((-2, -1)) / (4 * C.shape[-1] ** 2)


@dataclass(frozen=True)
class CentralMoments(Discrepancy):
    """Central moment discrepancy (Zellinger et al. 2017) of orders 1 … K, channel by channel.

    It compares mean, variance, skew, … of each channel, and no correlations between channels. There are two
    departures from the source. Norms are squared, so that the gradient is smooth at zero. Moments are divided
    by powers of r, the range of the style's features over all channels, because ReLU features have no bound.

    Args:
        moments: K, 1 … 8.

    Raises:
        ValueError: The number of moments is out of range.
    """

    name, limits = "cmd", {"moments": (1, 8)}
    moments: int = 5

    def parameters(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        X = S  # S without positions of weight 0
        if weights is not None:
            X = S.where((normalize_weights(S, weights) > 0).unsqueeze(-2), mean(S, weights)[..., None])
        return {"range": (X.amax((-2, -1)) - X.amin((-2, -1))).unsqueeze(-1) + 1e-3}  # > 0 for constant S

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        """Returns mean (f/r)^k for k = 1 … K, (..., K, N), from central moments, which lose no digits."""
        centre, r = mean(F, weights), summary["range"]
        away = (F - centre.unsqueeze(-1)) / r.unsqueeze(-1)
        powers, power = [torch.zeros_like(centre)], away
        for _ in range(2, self.moments + 1):
            power = power * away
            powers.append(mean(power, weights))
        return {"powers": shift_moments(wide(torch.stack(powers, -2)), wide(centre / r))}

    def statistics(self, embedding: Summary, like: Tensor) -> Summary:
        """Returns μ/r, c_2/r², … c_K/r^K: (..., K, N)."""
        first, higher = embedding["powers"][..., :1, :], embedding["powers"]
        central = shift_moments(higher, -first.squeeze(-2))[..., 1:, :]
        return {"moments": narrow(torch.cat([first, central], -2), like)}

    def compare(self, embedding: Summary, summary: Summary) -> Tensor:
        own = self.statistics(embedding, summary["moments"])["moments"]
        return (own - summary["moments"]).square().mean(-1).sum(-1)


def shift_moments(m: Tensor, δ: Tensor) -> Tensor:
    """Returns the means of (x + δ)^k from m_k = mean x^k, k = 1 … K: (..., K, N), (..., N) → (..., K, N)."""
    known = [torch.ones_like(δ), *m.unbind(-2)]
    terms = ([math.comb(k, j) * known[j] * δ ** (k - j) for j in range(k + 1)] for k in range(1, len(known)))
    return torch.stack([torch.stack(term).sum(0) for term in terms], -2)
