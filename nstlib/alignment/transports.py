"""Transports: the map that moves features F until a method cannot tell them from a style's, d(T(F), S) = 0.

Every notion of style has one, and for all but the Gaussian kernel it is in closed form:

    linear        T(f) = f − μ_F + μ_S                       the mean moves
    BN            T(f) = (f − μ_F) σ_S/σ_F + μ_S             AdaIN (Huang and Belongie 2017)
    poly, c = 0   T(f) = A f,              A G_F Aᵀ = G_S    uncentred second moments G = FFᵀ/M
    poly, c > 0   T(f) = A (f − μ_F) + μ_S, A C_F Aᵀ = C_S   covariances C = G − μμᵀ, and the mean
    wasserstein   the same, which is the very map whose cost it measures; coral: the same, F's mean kept
    gaussian      no closed form: the same first, then Newton steps of least change (`follow`)
    a fusion      Σ_k w_k T_k(f) / Σ_k w_k: the mixture of its parts' maps

Of the many A that fit, the optimal one moves the features least (Monge's map between Gaussians, used for
styles by Lu et al. 2019 and Mroueh 2020); it is the only symmetric positive one:

    A = C_F^{-1/2} (C_F^{1/2} C_S C_F^{1/2})^{1/2} C_F^{-1/2}

In a fusion, what all parts agree on is met (the mean, in linear + BN); where they ask for different things
each gets its share, and a residual of each discrepancy stays. `@moved.register` registers another map.
"""

import math
from dataclasses import replace
from functools import singledispatch

import torch
from torch import Tensor

from nstlib.alignment.central import Coral
from nstlib.alignment.discrepancy import (
    BNStatistics,
    Discrepancy,
    Fusion,
    LinearMMD,
    PolynomialMMD,
    Summary,
    check_pair,
)
from nstlib.alignment.gaussian import GaussianMMD, MeanCosine
from nstlib.alignment.kernels import widen
from nstlib.alignment.methods import method as parse_method
from nstlib.alignment.moments import covariance_mean, gram, mean, shares, variance_mean
from nstlib.alignment.pointwise import outer, product
from nstlib.alignment.wasserstein import Wasserstein
from nstlib.version import use_torch_defaults

NEWTON_STEPS = 4  # of the Gaussian's flow, at most
NEAR = 1e-4  # of what moments alone leave: little enough
MANY = 16_384  # positions, above which the steps are worked out from every k-th of them
DAMPING = 1e-3  # of its equations, over their mean diagonal


@use_torch_defaults()
def transport(
    F: Tensor,
    S: Tensor,
    method: str | Discrepancy = "poly",
    strength: float = 1.0,
    weights: Tensor | None = None,
    style_weights: Tensor | None = None,
) -> Tensor:
    """F moved until `method` cannot tell it from S: F' (..., N, M) with d(F', S) = 0 at strength 1.

    F: (..., N, M), S: (..., N, M'); M ≠ M' allowed. strength: t in [0, 1], in a straight line from F to T(F).
    weights (..., M), style_weights (..., M'): how much positions count, >= 0; all are moved, by one map.
    A direction in which F does not vary at all (a dead channel, N > M) stays so: no map can fill it.
    Raises ValueError for shapes that do not fit, a strength outside [0, 1], an unknown method.
    """
    check_pair(F, S)
    d = parse_method(method) if isinstance(method, str) else method
    return toward(d, widen(F), remembered(d, widen(S), style_weights), strength, weights).to(F.dtype)


def toward(
    d: Discrepancy, F: Tensor, summary: Summary, strength: float = 1.0, weights: Tensor | None = None
) -> Tensor:
    """The same from what is `remembered` of a style, so that it is computed once."""
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie in 0 … 1, got {strength}")
    return F if strength == 0 else torch.lerp(F, moved(d, F, summary, weights), strength)


@singledispatch
def remembered(d: Discrepancy, S: Tensor, weights: Tensor | None = None) -> Summary:
    """What the map needs of the style features S (..., N, M'): the summary, or what is registered."""
    return d.summary(S, weights)


@singledispatch
def moved(d: Discrepancy, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    """T(F) for the method d, from what is `remembered` of the style."""
    raise TypeError(f"no transport is known for {d}: register one (nstlib/alignment/transports.py)")


@moved.register
def _(d: LinearMMD, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    return F + (summary["mean"] - mean(F, weights)).unsqueeze(-1)


@moved.register
def _(d: BNStatistics, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    variance, μ = variance_mean(F, weights)
    goal = summary["deviation"].square()
    ε = ridge(variance.mean(-1), goal.mean(-1)).unsqueeze(-1)
    scale = ((goal + ε) / (variance + ε)).sqrt()
    return torch.addcmul((summary["mean"] - scale * μ).unsqueeze(-1), scale.unsqueeze(-1), F)


@moved.register
def _(d: PolynomialMMD, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    if not d.c:
        return product(optimal(gram(F, weights), summary["gram"]), F)
    μ = summary["mean"]
    return with_moments(F, μ, summary["gram"] - dyad(μ), weights)


@moved.register
def _(d: Wasserstein, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    C = summary["root"] @ summary["root"] - summary["noise"]
    return with_moments(F, summary["mean"], C.to(F), weights)


@moved.register
def _(d: Coral, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    return with_moments(F, mean(F, weights), summary["covariance"], weights)


def with_moments(F: Tensor, μ_S: Tensor, C_S: Tensor, weights: Tensor | None = None) -> Tensor:
    """F moved as little as possible to the mean μ_S (..., N) and the covariance C_S (..., N, N)."""
    C, μ = covariance_mean(F, weights)
    A = optimal(C, C_S)
    return product(A, F) + (μ_S.unsqueeze(-1) - A @ μ.unsqueeze(-1))


def optimal(C_F: Tensor, C_S: Tensor) -> Tensor:
    """The symmetric A ≥ 0 with A C_F Aᵀ = C_S, both (..., N, N) symmetric ≥ 0.

    With C_F = L Lᵀ it is L^{-T} (Lᵀ C_S L)^{1/2} L^{-1}, one eigendecomposition and not two. It is computed
    in float64 on the CPU, for not every device has it. A ridge of the inputs' own rounding, on both sides,
    keeps directions that are nothing but rounding from being blown up, and A = 1 where C_F = C_S.
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
    """A variance that is nothing beside these (...): √eps of their mean, and never 0."""
    info = torch.finfo(variances[0].dtype)
    ε: Tensor = torch.stack(variances).mean(0) * info.eps**0.5
    return ε.clamp(min=info.tiny)


def dyad(μ: Tensor) -> Tensor:
    """μ μᵀ: (..., N) → (..., N, N)."""
    return μ.unsqueeze(-1) * μ.unsqueeze(-2)


@remembered.register
def _(d: GaussianMMD, S: Tensor, weights: Tensor | None = None) -> Summary:
    d = replace(d, estimator="features")  # the paired estimator only estimates the same distance
    C, μ = covariance_mean(S, weights)
    return {"covariance": C, "mean": μ, **d.summary(S, weights)}


@moved.register
def _(d: GaussianMMD, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    near = with_moments(F, summary["mean"], summary["covariance"], weights)
    return follow(near, summary, weights) if "embedding" in summary else near  # else moments must do


def follow(F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    """Newton's method on r(F) = mean z(f) − mean z(s) = 0, every step the smallest that does it.

    z(f) = √(2/D) cos(Wf + u). With J(f) = −√(2/D) diag(sin(Wf + u)) W the step that solves
    r + mean J δ = 0 with the least mean ‖δ‖² is

        δ(f) = −J(f)ᵀ K⁻¹ r,    K = mean J Jᵀ = (2/D) (mean sin sinᵀ) ∘ (W Wᵀ)

    one D × D system, slightly damped. A step that does not bring r nearer to 0 is not taken. Of more than
    `MANY` positions a part decides on the steps, and all take them.
    """
    if (k := math.ceil(F.shape[-1] / MANY)) > 1:
        part = None if weights is None else weights[..., ::k]
        if part is None or bool((part.sum(-1) > 0).all()):
            for pull in steps(F[..., ::k], summary, part)[1]:
                after = F.clone()
                for block, angle in MeanCosine.angles(F, summary["frequencies"], summary["phases"]):
                    after[..., block] += product(pull, angle.sin_())
                F = after
            return F
    return steps(F, summary, weights)[0]


def steps(F: Tensor, summary: Summary, weights: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """The positions after the best number of steps, and what took them there: a matrix (..., N, D) a step."""
    W, u, goal = summary["frequencies"], summary["phases"], summary["embedding"]
    p = F.new_full((F.shape[-1],), 1 / F.shape[-1]) if weights is None else shares(F, weights)
    factor, squares = (2 / W.shape[-2]) ** 0.5, W @ W.mT
    best, lowest, first = F, None, goal
    pulls: list[Tensor] = []
    for step in range(NEWTON_STEPS + 1):
        sines, total, G = [], torch.zeros_like(goal), torch.zeros_like(squares)
        for block, angle in MeanCosine.angles(F, W, u):
            total = total + (angle.cos() @ p[..., block].unsqueeze(-1)).squeeze(-1)
            sines.append((block, angle.sin_()))
            if step < NEWTON_STEPS:
                G = G + outer(sines[-1][1] * p[..., block].sqrt().unsqueeze(-2))
        r = factor * total - goal
        left = r.square().sum(-1)
        if lowest is not None and not bool((left < lowest).all()):
            return best, pulls[: step - 1]
        best, lowest = F, left
        first = left if step == 0 else first
        if step == NEWTON_STEPS or bool((left < NEAR * first).all()):
            break
        K = factor**2 * G * squares
        K = K + DAMPING * torch.diag_embed(K.diagonal(0, -2, -1).mean(-1, keepdim=True).expand(r.shape))
        λ = torch.linalg.solve(K.cpu(), r.cpu()).to(r)
        pull = factor * (W * λ.unsqueeze(-1)).mT  # (..., N, D)
        pulls.append(pull)
        F = F.clone()
        for block, sine in sines:
            F[..., block] += product(pull, sine)
    return best, pulls[:step]


@remembered.register
def _(d: Fusion, S: Tensor, weights: Tensor | None = None) -> Summary:
    return {
        f"{i}/{name}": value
        for i, (part, _) in enumerate(d.parts())
        for name, value in remembered(part, S, weights).items()
    }


@moved.register
def _(d: Fusion, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
    total, result = sum(weight for _, weight in d.parts()), torch.zeros_like(F)
    for i, (part, weight) in enumerate(d.parts()):
        own = {n.removeprefix(f"{i}/"): t for n, t in summary.items() if n.startswith(f"{i}/")}
        if weight:
            result = result + weight / total * moved(part, F, own, weights)
    return result
