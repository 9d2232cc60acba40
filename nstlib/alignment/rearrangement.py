"""A transport for discrepancies without a closed-form map. It matches sorted projections.

In one dimension, the optimal map f ↦ Q_S(P_F(f)) keeps ranks. Applied along the axes of one rotation after
another, it brings the distribution of F to that of S (Pitié, Kokaram and Dahyot 2007). *Every* discrepancy
becomes small, but none becomes exactly zero. More rounds and larger M and M' reduce the residual.

    sliced, energy, cubic, a kernel of your own    `ROUNDS` rotations, after the optimal affine map
    cmd                                            one round along the channels, because cmd compares each one
"""

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.moments import covariance_mean, normalize_weights, product
from nstlib.alignment.random_features import directions
from nstlib.alignment.sketches import CubicMMD, KernelMMD
from nstlib.alignment.sliced import SlicedWasserstein, order, quantiles
from nstlib.alignment.transports import match_moments, transport_map, transport_summary
from nstlib.alignment.wasserstein import CentralMoments

ROUNDS, LEVELS = 6, 128


def match_quantiles(X: Tensor, Q: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns Q_S(P_F(x)) along every line, (..., D, M), for X (..., D, M) and quantiles Q (..., D, K) of S.

    Q is interpolated linearly between the midpoints of the K shares and extrapolated beyond them.
    """
    index, K = order(X.detach()), Q.shape[-1]
    if weights is None:
        ranks = (torch.arange(X.shape[-1], dtype=X.dtype, device=X.device) + 0.5) / X.shape[-1]
        ranks = ranks.expand(X.shape)
    else:
        mass = normalize_weights(X, weights).unsqueeze(-2).expand(X.shape).gather(-1, index)
        ranks = mass.cumsum(-1) - mass / 2
    if K == 1:
        return Q.expand(X.shape).contiguous()
    at = ranks * K - 0.5
    low = at.floor().clamp(0, K - 2).long()
    value = torch.lerp(Q.gather(-1, low), Q.gather(-1, low + 1), at - low)
    return torch.empty_like(X).scatter_(-1, index, value)


def projected_quantiles(d: Discrepancy, S: Tensor, weights: Tensor | None = None) -> Summary:
    """Returns the style's mean, covariance and quantiles along the axes of each rotation, for the map."""
    C, μ = covariance_mean(S, weights)
    N, generator = S.shape[-2], torch.Generator().manual_seed(getattr(d, "seed", 0))
    R = torch.stack([directions(N, N, generator) for _ in range(ROUNDS)]).to(S)
    p = None if weights is None else normalize_weights(S, weights).unsqueeze(-2)
    seen = [product(turn.expand(*S.shape[:-2], *turn.shape), S).contiguous() for turn in R]
    along = torch.stack([quantiles(X, p, LEVELS) for X in seen])
    return {"covariance": C, "mean": μ, "turns": R, "lines": along}


def iterative_distribution_transfer(
    d: Discrepancy, F: Tensor, summary: Summary, weights: Tensor | None = None
) -> Tensor:
    """Returns F after the optimal affine map and the matching of quantiles for every rotation."""
    F = match_moments(F, summary["mean"], summary["covariance"], weights)
    for turn, Q in zip(summary["turns"], summary["lines"], strict=True):
        turn = turn.expand(*F.shape[:-2], *turn.shape)
        F = product(turn.mT, match_quantiles(product(turn, F).contiguous(), Q, weights))
    return F


for _whole in (SlicedWasserstein, CubicMMD, KernelMMD):  # EnergyDistance derives from the first
    transport_summary.register(_whole)(projected_quantiles)
    transport_map.register(_whole)(iterative_distribution_transfer)


@transport_summary.register
def _(d: CentralMoments, S: Tensor, weights: Tensor | None = None) -> Summary:
    p = None if weights is None else normalize_weights(S, weights).unsqueeze(-2)
    return {"lines": quantiles(S.contiguous(), p, LEVELS)}


@transport_map.register
def _(d: CentralMoments, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    return match_quantiles(F.contiguous(), summary["lines"], weights)
