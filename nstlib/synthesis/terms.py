"""The terms of an objective. Each compares an embedding of features with its target.

An embedding is a mean or a sum over positions. Each window of an image contributes a part of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.encoders import IMAGE, Window

Features = dict[str, Tensor]
TINY = 1e-12


class Term(Protocol):
    @property
    def layer(self) -> str: ...

    def embed(self, F: Tensor, window: Window | None = None) -> Summary:
        """Returns the embedding of an image's features, or the contribution of one window to it."""
        ...

    def compare(self, embedding: Summary) -> Tensor:
        """Returns the term, a scalar."""
        ...


@dataclass(frozen=True)
class StyleTerm:
    """weight · d(F_l, S_l) / scale for one layer l and one method; scale is the paper's Z_l^k.

    positions: Weights (1, M_l) of F's positions, for a region of the image. name: The name of the term
    in the objective (default: style/layer).
    """

    layer: str
    discrepancy: Discrepancy
    summary: Summary
    weight: float = 1.0
    scale: float = 1.0
    positions: Tensor | None = None
    name: str = ""

    def __call__(self, features: Features) -> Tensor:
        return self.compare(self.embed(features[self.layer]))

    def embed(self, F: Tensor, window: Window | None = None) -> Summary:
        d, positions = self.discrepancy, self.positions
        if window is None:
            return d.embed(F, self.summary, positions) if d.additive else {"sample": F}
        if not d.additive:
            raise ValueError(f"method {d} compares all positions at once, so it cannot run in tiles")
        if positions is None:
            share = window.share(self.layer)
        else:
            total, positions = positions.sum(), window.select(positions, self.layer)
            share = float(positions.sum() / total)
        parts = d.embed(F, self.summary, positions) if share else {}
        return {name: share * mean for name, mean in parts.items()}

    def compare(self, embedding: Summary) -> Tensor:
        d = self.discrepancy
        if d.additive:
            distance = d.compare(embedding, self.summary)
        else:
            distance = d.distance(embedding["sample"], self.summary, self.positions)
        return self.weight / self.scale * distance.sum()


def style_terms(
    discrepancy: Discrepancy, features: Features, weights: dict[str, float]
) -> tuple[StyleTerm, ...]:
    """Returns one term for each layer and each component of the method.

    Only a fusion has several components. The target of a term is the statistics of the style at its layer.

    Args:
        features: Features of the style, {layer: (1, N_l, M_l)}.
        weights: {layer: w_l >= 0}, which are scaled to a sum of 1.

    Raises:
        ValueError: The weights of the layers or of the method's components have no finite sum > 0.
    """
    summaries = {
        (layer, d): d.summary(features[layer]) for layer in weights for d, _ in discrepancy.components()
    }
    return make_terms(discrepancy, weights, summaries)


def make_terms(
    discrepancy: Discrepancy, weights: dict[str, float], summaries: Mapping[tuple[str, Discrepancy], Summary]
) -> tuple[StyleTerm, ...]:
    """Returns the terms of `style_terms`, given the style statistics of each layer and component."""
    total = sum(weights.values())
    if not 0 < total < math.inf or min(weights.values()) < 0:
        raise ValueError(f"layer weights must be >= 0, not all zero and of a finite sum, got {weights}")
    parts = discrepancy.components()
    share = sum(weight for _, weight in parts)
    if not 0 < share < math.inf:
        raise ValueError(f"the weights of {discrepancy} must have a finite sum > 0")
    return tuple(
        StyleTerm(
            layer,
            part,
            summaries[layer, part],
            weight / total * fraction / share,
        )
        for layer, weight in weights.items()
        for part, fraction in parts
        if weight > 0 and fraction > 0
    )


@dataclass(frozen=True)
class ContentTerm:
    """Σ (F − P)² / Σ P² for the target P (1, N_l, M_l): Eq. 4 of the paper, relative to P."""

    layer: str
    target: Tensor

    def embed(self, F: Tensor, window: Window | None = None) -> Summary:
        P = self.target if window is None else window.select(self.target, self.layer)
        return {"error": (F - P).square().sum()}

    def compare(self, embedding: Summary) -> Tensor:
        P = self.target
        energy = P.square().sum() if P.dtype.itemsize > 2 else P.norm(dtype=torch.float32).square()
        return embedding["error"] / energy.clamp(min=TINY)


@dataclass(frozen=True)
class VariationTerm:
    """The mean of squared differences between neighbouring pixels, across and down."""

    layer: str = IMAGE

    def embed(self, F: Tensor, window: Window | None = None) -> Summary:
        height, width = window.sizes[IMAGE] if window else F.shape[-2:]
        rows, columns = window.inside[IMAGE] if window else (slice(0, height), slice(0, width))
        across = F[..., rows, columns.start : columns.stop + 1].diff(dim=-1)
        down = F[..., rows.start : rows.stop + 1, columns].diff(dim=-2)
        squares = across.square().sum() / (3 * height * max(1, width - 1))
        return {"variation": squares + down.square().sum() / (3 * max(1, height - 1) * width)}

    def compare(self, embedding: Summary) -> Tensor:
        return embedding["variation"]


def relative_errors(F: Tensor, P: Tensor) -> Tensor:
    """Returns Σ (F − P)² / Σ P², the content error of each image: two tensors (B, N, M) → (B)."""
    return (F - P).square().sum((-2, -1)) / P.square().sum((-2, -1)).clamp(min=TINY)
