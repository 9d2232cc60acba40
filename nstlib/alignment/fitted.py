"""Transports of features that do not fit into memory at once. The maps are computed from moments.

The maps of linear, BN, polynomial, Wasserstein and CORAL are affine, T(f) = A f + b, and depend on F only
through its mean μ and covariance C. So 2N points with these moments give the same map. Its values at μ and at
N points beside μ determine A and b. The map of the Gaussian kernel is an affine map followed by Newton steps,
which are computed from a subset of the positions, as in `transports.newton_flow`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Fusion, Summary
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.moments import product
from nstlib.alignment.transports import newton_steps, take_steps, transport_map

Map = Callable[[Tensor], Tensor]  # F (..., N, M) → T(F)


def fit_map(
    d: Discrepancy, summary: Summary, C: Tensor, μ: Tensor, sample: Tensor, weights: Tensor | None = None
) -> Map:
    """Returns the map of `transport_map` for features of covariance C (..., N, N) and mean μ (..., N).

    Args:
        summary: the style statistics of `transport_summary`.
        sample: some of these features (..., N, M), which only the map of the Gaussian kernel uses.
        weights: (..., M), of the positions of the sample.
    """
    if isinstance(d, Fusion):
        total = sum(weight for _, weight in d.components())
        maps = [
            (weight / total, fit_map(part, summary[str(k)], C, μ, sample, weights))  # type: ignore[arg-type]
            for k, (part, weight) in enumerate(d.components())
            if weight
        ]
        return lambda F: torch.stack([share * move(F) for share, move in maps]).sum(0)
    if not isinstance(d, GaussianMMD):
        return affine_map(d, summary, C, μ)
    near = affine_map(d, {name: summary[name] for name in ("covariance", "mean")}, C, μ)
    if "embedding" not in summary:
        return near
    steps = newton_steps(near(sample), summary, weights)[1]
    return lambda F: take_steps(near(F), steps, summary)


def affine_map(d: Discrepancy, summary: Summary, C: Tensor, μ: Tensor) -> Map:
    """Returns the map of a method that depends on the features only through C and μ."""
    N, centre = μ.shape[-1], μ.unsqueeze(-1)
    values, vectors = torch.linalg.eigh(C.cpu().double())
    roots = (vectors * (N * values.clamp(min=0)).sqrt().unsqueeze(-2)).to(C.dtype).to(C.device)
    side = C.diagonal(0, -2, -1).mean(-1).sqrt().clamp(min=torch.finfo(C.dtype).eps)[..., None, None]
    beside = centre + side * torch.eye(N, dtype=C.dtype, device=C.device)
    points = torch.cat([centre + roots, centre - roots, centre, beside], -1)
    seen = torch.arange(points.shape[-1], device=C.device) < 2 * N  # only these points have a weight
    moved = transport_map(d, points, summary, seen.to(C))[..., 2 * N :]
    shift = moved[..., :1]
    A = (moved[..., 1:] - shift) / side
    offset = shift - A @ centre
    return lambda F: product(A, F).add_(offset)
