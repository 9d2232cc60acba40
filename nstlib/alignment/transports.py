"""Transports: maps T of features that make a discrepancy zero, d(T(F), S) = 0.

Every method has such a map. These are in closed form, except for the Gaussian kernel:

    linear        T(f) = f − μ_F + μ_S                       moves the mean
    BN            T(f) = (f − μ_F) σ_S/σ_F + μ_S             AdaIN (Huang and Belongie 2017)
    poly, c = 0   T(f) = A f,              A G_F Aᵀ = G_S    uncentred second moments G = FFᵀ/M
    poly, c > 0   T(f) = A (f − μ_F) + μ_S, A C_F Aᵀ = C_S   covariances C = G − μμᵀ, and the mean
    wasserstein   as poly, c > 0, because W₂² is the cost of this map; for coral, F keeps its mean
    gaussian      the map of wasserstein, then Newton steps of least change (`newton_flow`)
    a fusion      Σ_k w_k T_k(f) / Σ_k w_k, the weighted mean of the maps of its parts

This A moves the features least (Monge's map between Gaussians; Lu et al. 2019, Mroueh 2020):

    A = C_F^{-1/2} (C_F^{1/2} C_S C_F^{1/2})^{1/2} C_F^{-1/2}

A fusion matches the statistics on which the maps of its parts agree. It averages the others, which leaves a
residual. `@transport_map.register` adds a map of your own. rearrangement.py has the maps not listed.
"""

import math
from dataclasses import replace
from functools import singledispatch

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import BNStatistics, Discrepancy, Fusion, LinearMMD, PolynomialMMD, Summary
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.methods import method as parse_method
from nstlib.alignment.moments import (
    covariance_mean,
    gram,
    mean,
    normalize_weights,
    outer,
    product,
    variance_mean,
)
from nstlib.alignment.random_features import MeanCosine
from nstlib.alignment.samples import check_pair, promote
from nstlib.alignment.wasserstein import Coral, Wasserstein
from nstlib.version import use_torch_defaults

NEWTON_STEPS = 4  # maximum number for the Gaussian kernel
NEAR = 1e-4  # the steps stop below this fraction of the initial squared residual
MANY = 16_384  # with more positions, the steps are computed from every k-th of them
DAMPING = 1e-3  # added to the diagonal of K, relative to its mean


@use_torch_defaults()
def transport(
    F: Tensor,
    S: Tensor,
    method: str | Discrepancy = "poly",
    strength: float = 1.0,
    weights: Tensor | None = None,
    style_weights: Tensor | None = None,
) -> Tensor:
    """Maps features F to F' to match features S. At strength 1, d(F', S) is nearly 0, except for a fusion.

    Args:
        F, S: (..., N, M) and (..., N, M'), promoted to the wider of their dtypes.
        method: the text of a method, or a discrepancy.
        strength: t in 0 … 1; F' = F + t (T(F) − F).
        weights: (..., M) ≥ 0, of the positions of F. They determine the map, which moves all positions.
        style_weights: (..., M') ≥ 0, of the positions of S.

    Returns:
        F' (..., N, M), of F's dtype. Directions in which F is constant (a dead channel, N > M) stay constant.

    Raises:
        ValueError: Wrong shapes, weights, strength or method. TypeError: The discrepancy has no map.
    """
    check_pair(F, S, "transport(F, S, method)")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie in 0 … 1, got {strength}")
    d = parse_method(method) if isinstance(method, str) else method
    if strength == 0:
        return F
    X, S = promote(F, S)
    return torch.lerp(X, transport_map(d, X, transport_summary(d, S, style_weights), weights), strength).to(
        F.dtype
    )


@singledispatch
def transport_summary(d: Discrepancy, S: Tensor, weights: Tensor | None = None) -> Summary:
    """Returns the style statistics of S (..., N, M') that the map needs: by default the summary."""
    return d.summary(S, weights)


@singledispatch
def transport_map(d: Discrepancy, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    """Returns T(F) for the method d and F (..., N, M). summary: the statistics of `transport_summary`."""
    raise TypeError(f"no transport is known for {d}: use transfer or register one, as add-a-method.md shows")


@transport_map.register
def _(d: LinearMMD, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    return F + (summary["mean"] - mean(F, weights)).unsqueeze(-1)


@transport_map.register
def _(d: BNStatistics, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    variance, μ = variance_mean(F, weights)
    goal = summary["deviation"].square()
    ε = ridge(variance.mean(-1), goal.mean(-1)).unsqueeze(-1)
    scale = ((goal + ε) / (variance + ε)).sqrt()
    return torch.addcmul((summary["mean"] - scale * μ).unsqueeze(-1), scale.unsqueeze(-1), F)


@transport_map.register
def _(d: PolynomialMMD, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    if not d.c:
        return product(bures_wasserstein_map(gram(F, weights), summary["gram"]), F)
    μ = summary["mean"]
    return match_moments(F, μ, summary["gram"] - μ.unsqueeze(-1) * μ.unsqueeze(-2), weights)


@transport_summary.register
def _(d: Wasserstein, S: Tensor, weights: Tensor | None = None) -> Summary:
    C, μ = covariance_mean(S, weights)  # d.summary would also compute the root of C, which takes long
    return {"covariance": C, "mean": μ}


@transport_map.register
def _(d: Wasserstein, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    return match_moments(F, summary["mean"], summary["covariance"], weights)


@transport_map.register
def _(d: Coral, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    return match_moments(F, mean(F, weights), summary["covariance"], weights)


def match_moments(F: Tensor, μ_S: Tensor, C_S: Tensor, weights: Tensor | None = None) -> Tensor:
    """Moves F as little as possible to the mean μ_S (..., N) and the covariance C_S (..., N, N)."""
    C, μ = covariance_mean(F, weights)
    A = bures_wasserstein_map(C, C_S)
    return product(A, F).add_(μ_S.unsqueeze(-1) - A @ μ.unsqueeze(-1))


def bures_wasserstein_map(C_F: Tensor, C_S: Tensor) -> Tensor:
    """Returns the symmetric A ≥ 0 with A C_F Aᵀ = C_S, for symmetric C_F, C_S ≥ 0 (..., N, N).

    With C_F = L Lᵀ, A = L^{-T} (Lᵀ C_S L)^{1/2} L^{-1} needs one eigendecomposition instead of two. It is
    computed in float64 on the CPU, because not every device has float64. A ridge of the size of the inputs'
    rounding errors on both sides prevents their amplification. A = 1 for C_F = C_S.
    """
    ε = ridge(*(C.diagonal(0, -2, -1).mean(-1) for C in (C_F, C_S)))[..., None, None].cpu().double()
    one = torch.eye(C_F.shape[-1], dtype=torch.float64)
    L = torch.linalg.cholesky(C_F.cpu().double() + ε * one)
    values, vectors = torch.linalg.eigh(L.mT @ (C_S.cpu().double() + ε * one) @ L)
    roots = vectors * values.clamp(min=0).pow(1 / 4).unsqueeze(-2)
    half = torch.linalg.solve_triangular(L.mT, roots, upper=True)
    A: Tensor = half @ half.mT
    return A.to(C_F.dtype).to(C_F.device)  # in two steps: the gradient leaves the device as float32


def ridge(*variances: Tensor) -> Tensor:
    """Returns a variance > 0 that is negligible beside these (...): √eps times their mean."""
    info = torch.finfo(variances[0].dtype)
    ε: Tensor = torch.stack(variances).mean(0) * info.eps**0.5
    return ε.clamp(min=info.tiny)


@transport_summary.register
def _(d: GaussianMMD, S: Tensor, weights: Tensor | None = None) -> Summary:
    d = replace(d, estimator="features")  # the paired estimator only estimates the same distance
    C, μ = covariance_mean(S, weights)
    return {"covariance": C, "mean": μ, **d.summary(S, weights)}


@transport_map.register
def _(d: GaussianMMD, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    near = match_moments(F, summary["mean"], summary["covariance"], weights)
    return newton_flow(near, summary, weights) if "embedding" in summary else near


def newton_flow(F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    """Solves r(F) = mean z(f) − mean z(s) = 0 by Newton's method, with the smallest steps.

    z(f) = √(2/D) cos(Wf + u). With J(f) = −√(2/D) diag(sin(Wf + u)) W, the step that solves
    r + mean J δ = 0 with the least mean ‖δ‖² is

        δ(f) = −J(f)ᵀ K⁻¹ r,    K = mean J Jᵀ = (2/D) (mean sin sinᵀ) ∘ (W Wᵀ)

    This D × D system is slightly damped. Above `MANY` positions, every k-th one determines the steps of all.
    """
    k = math.ceil(F.shape[-1] / MANY)
    part = None if weights is None else weights[..., ::k]
    if k == 1 or not (part is None or bool((part.sum(-1) > 0).all())):
        return newton_steps(F, summary, weights)[0]
    return take_steps(F, newton_steps(F[..., ::k], summary, part)[1], summary)


def take_steps(F: Tensor, steps: list[Tensor], summary: Summary) -> Tensor:
    """Returns F (..., N, M), moved by the steps whose matrices `newton_steps` returns."""
    for step in steps:
        after = F.clone()
        for block, angle in MeanCosine.angles(F, summary["frequencies"], summary["phases"]):
            after[..., block] += product(step, angle.sin_())
        F = after
    return F


def newton_steps(F: Tensor, summary: Summary, weights: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """Takes at most `NEWTON_STEPS` steps, as long as ‖r‖ decreases. Returns the moved features and a matrix
    (..., N, D) for each step. The step at f is this matrix times sin(Wf + u)."""
    W, u, goal = summary["frequencies"], summary["phases"], summary["embedding"]
    p = F.new_full((F.shape[-1],), 1 / F.shape[-1]) if weights is None else normalize_weights(F, weights)
    factor, squares = (2 / W.shape[-2]) ** 0.5, W @ W.mT
    before, taken, residuals = F, list[Tensor](), list[Tensor]()
    while True:
        sines, total, G = [], torch.zeros_like(goal), torch.zeros_like(squares)
        for block, angle in MeanCosine.angles(F, W, u):
            total = total + (angle.cos() @ p[..., block].unsqueeze(-1)).squeeze(-1)
            sines.append((block, angle.sin_()))
            if len(taken) < NEWTON_STEPS:
                G = G + outer(sines[-1][1] * p[..., block].sqrt().unsqueeze(-2))
        r = factor * total - goal
        residuals.append(r.square().sum(-1))
        if taken and not bool((residuals[-1] < residuals[-2]).all()):
            return before, taken[:-1]
        if len(taken) == NEWTON_STEPS or bool((residuals[-1] < NEAR * residuals[0]).all()):
            return F, taken
        K = factor**2 * G * squares
        K = K + DAMPING * torch.diag_embed(K.diagonal(0, -2, -1).mean(-1, keepdim=True).expand(r.shape))
        λ = torch.linalg.solve(K.cpu(), r.cpu()).to(r)
        taken.append(factor * (W * λ.unsqueeze(-1)).mT)  # (..., N, D)
        before, F = F, F.clone()
        for block, sine in sines:
            F[..., block] += product(taken[-1], sine)


@transport_summary.register
def _(d: Fusion, S: Tensor, weights: Tensor | None = None) -> Summary:
    return {str(i): transport_summary(part, S, weights) for i, (part, _) in enumerate(d.components())}  # type: ignore[misc]


@transport_map.register
def _(d: Fusion, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    total, result = sum(weight for _, weight in d.components()), torch.zeros_like(F)
    for i, (part, weight) in enumerate(d.components()):
        if weight:
            own: Summary = summary[str(i)]  # type: ignore[assignment]
            result = result + weight / total * transport_map(part, F, own, weights)
    return result
