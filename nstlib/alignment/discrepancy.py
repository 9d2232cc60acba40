"""Discrepancies between two sets of feature vectors: what it means for two pictures to share a style.

The Maximum Mean Discrepancy of positions F ∈ R^{N×M} and S ∈ R^{N×M'} under a kernel k is

    MMD²[F, S] = mean k(f, f') + mean k(s, s') − 2 mean k(f, s)                    (paper, §3)

with means over all pairs of positions; M and M' may differ. `mmd2` computes it by definition, in
O(MM'N). Kernels with an explicit feature map φ, k(x, y) = φ(x)ᵀφ(y), allow a short cut:

    MMD²[F, S] = ‖mean φ(f) − mean φ(s)‖²

    linear       φ(x) = x           remembers the mean                          O(NM)
    polynomial   φ(x) = x xᵀ, …     remembers the Gram matrix FFᵀ/M (Eqs. 6–9)   O(N²M)
    gaussian     φ(x) = cos(Wx+u)   remembers D numbers (see gaussian.py)       O(NDM)
    BN           —                  remembers means and deviations              O(NM)

`summary(S)` is what a method remembers of a style, computed once; `distance(F, summary)` compares. Both take
weights of positions (see moments.py): a mask for a region, or the shares of several styles beside each other.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from nstlib.alignment.kernels import Kernel, widen
from nstlib.alignment.moments import gram, mean, variance_mean
from nstlib.alignment.pairs import centre_samples, sum_pairs
from nstlib.version import use_torch_defaults

Summary = dict[str, Tensor]


def check_pair(F: Tensor, S: Tensor) -> None:
    """Raises ValueError unless F is (..., N, M) and S is (..., N, M') with the same N, M, M' ≥ 1 and batches
    that broadcast."""
    batches = zip(F.shape[-3::-1], S.shape[-3::-1], strict=False)
    fits = min(F.dim(), S.dim()) >= 2 and F.shape[-2] == S.shape[-2] and 0 not in (*F.shape, *S.shape)
    if not fits or any(a != b and 1 not in (a, b) for a, b in batches):
        raise ValueError(
            "features must be (..., N, M) and (..., N, M') with the same number of channels N, at least one "
            f"position and batches that broadcast, got {tuple(F.shape)} and {tuple(S.shape)}"
        )


@use_torch_defaults()
def mmd2(kernel: Kernel, F: Tensor, S: Tensor, *, unbiased: bool = False, chunk: int = 256) -> Tensor:
    """MMD² by definition: slow, the oracle for everything below.

    Args:
        kernel: k(x, y); its bandwidth may be a number, or one for each batch. Samples are centred first where
            the kernel is marked as `kernels.shift_invariant`.
        F: (..., N, M). S: (..., N, M'). Features of 16 bits are compared in float32.
        unbiased: leave the pairs of a position with itself out of the first two means (Gretton et al. 2012,
            Lemma 6), which needs two positions in each sample.
        chunk: positions compared at a time. Memory is O(chunk · M), with gradients too, for the backward pass
            computes every chunk again; it is O(M²) only where the kernel's own parameters require gradients.

    Returns: MMD² (...). Raises ValueError for shapes that do not fit.
    """
    check_pair(F, S)
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1 position, got {chunk}")
    if unbiased and min(F.shape[-1], S.shape[-1]) < 2:
        raise ValueError("the unbiased estimator needs at least two positions in each sample")
    F, S = centre_samples(kernel, widen(F), widen(S))
    batch = torch.broadcast_shapes(F.shape[:-2], S.shape[:-2])  # type: ignore[no-untyped-call]
    F, S = F.expand(*batch, *F.shape[-2:]), S.expand(*batch, *S.shape[-2:])

    def average(X: Tensor, Y: Tensor, distinct: bool = False) -> Tensor:
        count = X.shape[-1] * (Y.shape[-1] - distinct)
        return sum_pairs(kernel, X, Y, chunk, distinct) / count

    return average(F, F, unbiased) + average(S, S, unbiased) - 2 * average(F, S)


class Discrepancy(ABC):
    """A way to compare distributions of features. `d(F, S) == d.distance(F, d.summary(S))`.

    Every subclass is a frozen dataclass: hashable, comparable, and `str(d)` is the text that
    `nstlib.method` turns back into it. Shapes: F (..., N, M), S (..., N, M') → (...), differentiable
    in F, ≥ 0 and 0 for F = S (the paired Gaussian estimator holds this on average only).
    weights: (..., M) ≥ 0, of positions; means over positions become weighted means (None: all count alike).
    Features of 16 bits are compared in float32, and autocast does not reach inside.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in {"summary", "distance"} & vars(cls).keys():
            setattr(cls, name, _widen_inputs(vars(cls)[name]))

    @abstractmethod
    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        """What the method remembers of the style features S (..., N, M'), as named tensors."""

    @abstractmethod
    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        """How far the features F (..., N, M) are from what is remembered."""

    def __call__(self, F: Tensor, S: Tensor) -> Tensor:
        check_pair(F, S)
        return self.distance(F, self.summary(S))

    def parts(self) -> tuple[tuple["Discrepancy", float], ...]:
        """The methods this one adds up, with their weights."""
        return ((self, 1.0),)

    def seeded(self, seed: int) -> "Discrepancy":
        """The same method with its random draws (if it makes any) started from `seed`."""
        return self


def _widen_inputs(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def compute(*args: Any, **kwargs: Any) -> Any:
        with use_torch_defaults():
            return method(*map(widen, args), **{name: widen(value) for name, value in kwargs.items()})

    return compute


def spelled(value: float) -> str:
    """A number in the fewest digits that give it back: 2.0 → "2", 1.23456789 → "1.23456789"."""
    return short if float(short := f"{value:g}") == value else repr(float(value))


@dataclass(frozen=True)
class LinearMMD(Discrepancy):
    """k(x, y) = xᵀy: MMD² = ‖μ_F − μ_S‖² for the linear kernel. Sees no correlation."""

    def __str__(self) -> str:
        return "linear"

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        return {"mean": mean(S, weights)}

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        return (mean(F, weights) - summary["mean"]).square().sum(-1)


@dataclass(frozen=True)
class PolynomialMMD(Discrepancy):
    """k(x, y) = (xᵀy + c)²: MMD² = ‖FFᵀ/M − SSᵀ/M'‖² + 2c ‖μ_F − μ_S‖² (c² cancels).

    With c = 0 this is the Gram loss of Gatys et al.: Eq. 6 equals MMD²/4N² when M = M'. We divide
    the Gram matrix by the number of positions alone, which is what makes it a mean of φ(x) = x xᵀ
    and lets the two pictures differ in size. c > 0 *is* a fusion of Gram and linear.
    """

    c: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.c < float("inf"):
            raise ValueError(f"the polynomial offset c must be a finite number >= 0, got {self.c}")

    def __str__(self) -> str:
        return f"poly(c={spelled(self.c)})" if self.c else "poly"

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        return {"gram": gram(S, weights), "mean": mean(S, weights)}

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        G = gram(F, weights)  # (..., N, N)
        distance = (G - summary["gram"]).square().sum((-2, -1))
        if self.c:
            distance = distance + 2 * self.c * (mean(F, weights) - summary["mean"]).square().sum(-1)
        return distance


@dataclass(frozen=True)
class BNStatistics(Discrepancy):
    """1/N Σ_i (μ_F − μ_S)² + (σ_F − σ_S)² over channels: batch-norm statistics (paper, §3).

    The paper's statistic is the variance's root over all positions (biased). `epsilon` inside the
    root keeps its gradient finite at a dead channel; it shifts no deviation by more than its root.
    """

    epsilon: float = 1e-12

    def __str__(self) -> str:
        return "bn"

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        variance, mean = variance_mean(S, weights)
        return {"mean": mean, "deviation": (variance + self.epsilon).sqrt()}

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        own = self.summary(F, weights)
        return ((own["mean"] - summary["mean"]) ** 2 + (own["deviation"] - summary["deviation"]) ** 2).mean(
            -1
        )


@dataclass(frozen=True)
class Fusion(Discrepancy):
    """Σ_i w_i d_i (paper, §4: fusion): Fusion({BNStatistics(): 0.7, PolynomialMMD(): 0.3}), weights ≥ 0.

    On its own it adds raw distances. A run calibrates every part first, so that weights compare
    pulls and not units (see objective.py).
    """

    weights: Mapping[Discrepancy, float] | tuple[tuple[Discrepancy, float], ...]

    def __post_init__(self) -> None:
        pairs = self.weights.items() if isinstance(self.weights, Mapping) else self.weights
        merged: dict[Discrepancy, float] = {}
        for whole, weight in pairs:
            if not 0 <= weight < float("inf"):
                raise ValueError(f"a fusion's weights must be finite numbers >= 0, got {weight} for {whole}")
            for part, share in whole.parts():
                merged[part] = merged.get(part, 0.0) + weight * share
        if not sum(merged.values()) > 0:
            raise ValueError("a fusion needs at least one method of positive weight")
        object.__setattr__(self, "weights", tuple(merged.items()))

    def __str__(self) -> str:
        return "+".join(f"{part}:{spelled(weight)}" for part, weight in self.parts())

    def parts(self) -> tuple[tuple[Discrepancy, float], ...]:
        return tuple(self.weights)  # type: ignore[arg-type]

    def seeded(self, seed: int) -> "Fusion":
        return Fusion(tuple((part.seeded(seed), weight) for part, weight in self.parts()))

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        return {
            f"{i}/{name}": tensor
            for i, (part, _) in enumerate(self.parts())
            for name, tensor in part.summary(S, weights).items()
        }

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        total = torch.zeros((), dtype=F.dtype, device=F.device)
        for i, (part, weight) in enumerate(self.parts()):
            own = {n.removeprefix(f"{i}/"): t for n, t in summary.items() if n.startswith(f"{i}/")}
            total = total + weight * part.distance(F, own, weights)
        return total
