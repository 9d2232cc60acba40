"""Discrepancies between two samples of feature vectors: they measure how different two styles are.

The Maximum Mean Discrepancy of features F ∈ R^{N×M} and S ∈ R^{N×M'} under a kernel k is

    MMD²[F, S] = mean k(f, f') + mean k(s, s') − 2 mean k(f, s)                    (paper, §3)

with means over all pairs of positions; M and M' may differ. `mmd2` computes this in O((M + M')² N). Kernels
with an explicit feature map φ, k(x, y) = φ(x)ᵀφ(y), allow a faster form:

    MMD²[F, S] = ‖mean φ(f) − mean φ(s)‖²

    linear       φ(x) = x           stores the mean                                 O(NM)
    polynomial   φ(x) = x xᵀ, …     stores the Gram matrix FFᵀ/M (Eqs. 6–9)          O(N²M)
    gaussian     φ(x) = cos(Wx+u)   stores D numbers (see gaussian.py)              O(NDM)
    BN           φ(x) = (x, x²)     stores means and standard deviations            O(NM)

So a method consists of a mean embedding, `embed(F) = mean φ(f)`, and a comparison, `compare`. Its distance is
`distance(F, summary) = compare(embed(F), summary)`, where `summary` holds the statistics of the style. The
embedding of an image is the weighted mean of the embeddings of its tiles, so large images can be computed in
tiles. All methods accept weights of positions, which express a mask or the shares of several styles.
"""

import math
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from nstlib.alignment.kernels import Kernel
from nstlib.alignment.moments import gram, mean, narrow, variance_mean, wide
from nstlib.alignment.options import NOT_NEGATIVE, WithOptions
from nstlib.alignment.pairs import sum_pairs
from nstlib.alignment.samples import centre_samples, check_pair, promote
from nstlib.inputs import format_number
from nstlib.version import use_torch_defaults

Summary = dict[str, Tensor]  # of a fusion: the summaries or embeddings of its parts


@use_torch_defaults()
def mmd2(kernel: Kernel, F: Tensor, S: Tensor, *, unbiased: bool = False, chunk: int = 256) -> Tensor:
    """Computes MMD² from its definition, over all pairs of positions: slow, but exact.

    Args:
        kernel: k(x, y). Its bandwidth is a number, or a tensor with one number for each sample of a batch. If
            `kernels.shift_invariant` marks the kernel, the samples are centred first.
        F: (..., N, M). The samples are compared in the wider of their dtypes, at least float32.
        S: (..., N, M'). The result has the shape (...) of the batch.
        unbiased: whether to leave out the pairs of a position with itself in the first two means (Gretton et
            al. 2012, Lemma 6). This needs at least two positions in each sample.
        chunk: positions compared at a time. Memory is O(chunk · M), because the backward pass recomputes the
            kernel values. If parameters of the kernel require gradients, memory is O(M²).

    Raises:
        ValueError: The shapes do not fit, chunk < 1, or the unbiased estimator gets a single position.
        TypeError: F or S is no tensor, for example because the kernel is not the first argument.
    """
    check_pair(F, S, "mmd2(kernel, F, S)")
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1 position, got {chunk}")
    if unbiased and min(F.shape[-1], S.shape[-1]) < 2:
        raise ValueError("the unbiased estimator needs at least two positions in each sample")
    F, S = centre_samples(kernel, *promote(F, S))
    batch = torch.broadcast_shapes(F.shape[:-2], S.shape[:-2])  # type: ignore[no-untyped-call]
    F, S = F.expand(*batch, *F.shape[-2:]), S.expand(*batch, *S.shape[-2:])

    def average(X: Tensor, Y: Tensor, distinct: bool = False) -> Tensor:
        return sum_pairs(kernel, X, Y, chunk, distinct) / (X.shape[-1] * (Y.shape[-1] - distinct))

    return average(F, F, unbiased) + average(S, S, unbiased) - 2 * average(F, S)


class Discrepancy(WithOptions, ABC):
    """Base class of discrepancies between samples of features: d(F, S) = d.distance(F, d.summary(S)).

    d(F, S) has the shape (...) for F (..., N, M) and S (..., N, M'). It is differentiable in F, ≥ 0, and 0
    for F = S (the paired Gaussian: on average). 16-bit features are compared in float32. Autocast has no
    effect.

    A subclass is a frozen dataclass. `name` is its name in the grammar of `nstlib.method`, its fields are the
    options there, and `str` returns the text of an object. It defines `embed` and, if needed, overrides
    `parameters`, `statistics` and `compare`. A class with only `summary` and `distance` cannot run in tiles.
    """

    @property
    def additive(self) -> bool:
        """Whether `embed` is a mean over positions, so that embeddings of tiles can be added."""
        return type(self).distance is Discrepancy.distance

    def __call__(self, F: Tensor, S: Tensor) -> Tensor:
        """Returns d(F, S) in the wider of the two dtypes. Raises ValueError for shapes that do not fit."""
        check_pair(F, S)
        F, S = promote(F, S)
        return self.distance(F, self.summary(S))

    def parameters(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        """Returns the parameters of φ, such as a bandwidth, from S (..., N, M'); weights as in `summary`."""
        return {}

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        """Returns mean φ(f) over the positions of F (..., N, M), with weights (..., M) ≥ 0 (None: equal).

        summary: the style's `summary`, or only its `parameters`."""
        raise NotImplementedError(f"{type(self).__name__} must define embed, or summary and distance")

    def statistics(self, embedding: Summary, like: Tensor) -> Summary:
        """Returns the part of an embedding that `compare` uses, in the dtype and on the device of `like`."""
        return embedding

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        """Returns the style statistics of S (..., N, M') with weights (..., M') ≥ 0 (None: equal)."""
        parameters = self.parameters(S, weights)
        return parameters | self.statistics(self.embed(S, parameters, weights), S)

    def compare(self, embedding: Summary, summary: Summary) -> Tensor:
        """Returns d from the embedding of an image and the summary of a style: ‖mean φ(f) − mean φ(s)‖²."""
        return (embedding["embedding"] - summary["embedding"]).square().sum(-1)

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        """Returns d from F (..., N, M), weights (..., M) ≥ 0 and a style's summary in the dtype of F."""
        return self.compare(self.embed(F, summary, weights), summary)

    def components(self) -> tuple[tuple["Discrepancy", float], ...]:
        """Returns the methods of which this one is a weighted sum, and their weights."""
        return ((self, 1.0),)


@dataclass(frozen=True)
class LinearMMD(Discrepancy):
    """MMD² of the linear kernel k(x, y) = xᵀy: ‖μ_F − μ_S‖². It compares only means."""

    name = "linear"

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        return {"mean": mean(F, weights)}

    def compare(self, embedding: Summary, summary: Summary) -> Tensor:
        return (embedding["mean"] - summary["mean"]).square().sum(-1)


@dataclass(frozen=True)
class PolynomialMMD(Discrepancy):
    """MMD² of the polynomial kernel k(x, y) = (xᵀy + c)²: ‖FFᵀ/M − SSᵀ/M'‖² + 2c ‖μ_F − μ_S‖².

    With c = 0, this is the Gram loss of Gatys et al. up to a factor: for M = M', Eq. 6 of Li et al. is
    MMD²/4N². The Gram matrix is divided only by M, so it is a mean of φ(x) = x xᵀ, and the images may differ
    in size. With c > 0, it *is* a fusion of Gram and linear. Raises ValueError unless 0 ≤ c < ∞.
    """

    name, limits = "poly", {"c": NOT_NEGATIVE}
    c: float = 0.0

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        return {"gram": gram(F, weights)} | ({"mean": mean(F, weights)} if self.c else {})

    def compare(self, embedding: Summary, summary: Summary) -> Tensor:
        distance = (embedding["gram"] - summary["gram"]).square().sum((-2, -1))
        if self.c:
            distance = distance + 2 * self.c * (embedding["mean"] - summary["mean"]).square().sum(-1)
        return distance


@dataclass(frozen=True)
class BNStatistics(Discrepancy):
    """Batch-norm statistics (paper, §3): the mean over channels of (μ_F − μ_S)² + (σ_F − σ_S)².

    σ is √(biased variance + `epsilon`). Its gradient is finite even for a channel of variance 0.
    """

    name = "bn"
    epsilon: float = 1e-12

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        variance, mean = map(wide, variance_mean(F, weights))
        return {"mean": mean, "square": variance + mean.square()}  # float64, because `statistics` subtracts

    def statistics(self, embedding: Summary, like: Tensor) -> Summary:
        variance = narrow(embedding["square"] - embedding["mean"].square(), like).clamp(min=0)
        return {"mean": narrow(embedding["mean"], like), "deviation": (variance + self.epsilon).sqrt()}

    def compare(self, embedding: Summary, summary: Summary) -> Tensor:
        own = self.statistics(embedding, summary["mean"])
        gaps = [own[name] - summary[name] for name in ("mean", "deviation")]
        return (gaps[0] ** 2 + gaps[1] ** 2).mean(-1)


@dataclass(frozen=True)
class Fusion(Discrepancy):
    """Weighted sum Σ_i w_i d_i (paper, §4), e.g. Fusion({BNStatistics(): 0.7, PolynomialMMD(): 0.3}).

    `d(F, S)` adds the distances without scaling. A run first scales all parts to equally long gradients, so
    that the weights do not depend on units (synthesis/objective.py). Raises ValueError unless the weights are
    finite, ≥ 0 and not all zero.
    """

    weights: Mapping[Discrepancy, float] | tuple[tuple[Discrepancy, float], ...]

    def __post_init__(self) -> None:
        pairs = self.weights.items() if isinstance(self.weights, Mapping) else self.weights
        merged: dict[Discrepancy, float] = {}
        for whole, weight in pairs:
            if not 0 <= weight < math.inf:
                raise ValueError(f"a fusion's weights must be finite numbers >= 0, got {weight} for {whole}")
            for part, share in whole.components():
                merged[part] = merged.get(part, 0.0) + weight * share
        if not sum(merged.values()) > 0:
            raise ValueError("a fusion needs at least one method of positive weight")
        object.__setattr__(self, "weights", tuple(merged.items()))

    def __str__(self) -> str:
        return "+".join(f"{part}:{format_number(weight)}" for part, weight in self.components())

    def components(self) -> tuple[tuple[Discrepancy, float], ...]:
        return tuple(self.weights)  # type: ignore[arg-type]

    @property
    def additive(self) -> bool:
        return all(part.additive for part, _ in self.components())

    def with_seed(self, seed: int) -> Self:
        return replace(self, weights=tuple((d.with_seed(seed), weight) for d, weight in self.components()))

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        return {str(i): part.summary(S, weights) for i, (part, _) in enumerate(self.components())}  # type: ignore[misc]

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        parts = enumerate(self.components())
        return {str(i): part.embed(F, summary[str(i)], weights) for i, (part, _) in parts}  # type: ignore[misc,arg-type]

    def compare(self, embedding: Summary, summary: Summary) -> Tensor:
        parts = enumerate(self.components())
        return sum(w * part.compare(embedding[str(i)], summary[str(i)]) for i, (part, w) in parts)  # type: ignore
