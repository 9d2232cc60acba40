"""Central moments: what is left of a distribution once its mean is taken away.

    CORAL   ‖C_F − C_S‖² / 4N²                                  covariances        O(N²M)
    CMD     ‖μ_F − μ_S‖² / Nr² + Σ_{k=2..K} ‖c_k(F) − c_k(S)‖² / N r^{2k}       O(KNM)

with C the covariance, c_k = mean (f − μ_F)^k channel by channel, and r the range of the features, in units
of which moments of different order compare. Neither is characteristic: distributions that differ only in
what is not compared (CORAL: the mean, and everything above second moments; CMD: how channels go together)
are at distance zero.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.moments import covariance_mean, mean, shares


@dataclass(frozen=True)
class Coral(Discrepancy):
    """‖C_F − C_S‖²_F / 4N²: correlation alignment (Sun and Saenko 2016). A Gram matrix without the mean.

    Zero where covariances are equal, wherever the means are: it does not see the mean colour or brightness.
    """

    def __str__(self) -> str:
        return "coral"

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        return {"covariance": covariance_mean(S, weights)[0]}

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        C, _ = covariance_mean(F, weights)
        return (C - summary["covariance"]).square().sum((-2, -1)) / (4 * C.shape[-1] ** 2)


@dataclass(frozen=True)
class CentralMoments(Discrepancy):
    """Central moment discrepancy (Zellinger et al. 2017) of orders 1 … K, channel by channel.

    Departures: squared norms, so that the gradient is smooth at zero; r is the range of the style's
    features, all channels together, for a ReLU's are not bounded. moments: K in 1 … 8.
    Sees each channel's mean, width, skew, …; no correlation between channels.
    """

    moments: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.moments <= 8 or int(self.moments) != self.moments:
            raise ValueError(f"cmd compares 1 … 8 moments, got {self.moments}")

    def __str__(self) -> str:
        return "cmd" if self.moments == 5 else f"cmd(moments={self.moments})"

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        there = (
            S
            if weights is None
            else S.where((shares(S, weights) > 0).unsqueeze(-2), mean(S, weights)[..., None])
        )
        r = (there.amax((-2, -1)) - there.amin((-2, -1))).unsqueeze(-1) + 1e-3  # a flat style has none
        return {"range": r, "moments": self.standardised(S, r, weights)}

    def standardised(self, X: Tensor, r: Tensor, weights: Tensor | None) -> Tensor:
        """μ/r, c_2/r², … c_K/r^K: (..., N, M) → (..., K, N)."""
        centre = mean(X, weights)
        away = (X - centre.unsqueeze(-1)) / r.unsqueeze(-1)
        powers, power = [centre / r], away
        for _ in range(2, self.moments + 1):
            power = power * away
            powers.append(mean(power, weights))
        return torch.stack(powers, -2)

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        own = self.standardised(F, summary["range"], weights)
        return (own - summary["moments"]).square().mean(-1).sum(-1)
