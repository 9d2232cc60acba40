"""The objective of a run: α · content + β γ · style (paper, Eq. 3), as named terms.

    content   Σ (F − P)² / Σ P²                     relative squared error of the content features P
    style     Σ_l w_l/Σw · Σ_k v_k · d_k(F_l, S_l) / Z_l^k      discrepancies d_k with fusion weights v_k
    palette   Σ_k v_k · d_k(pixels) / Z^k              the style's colours and grain (see pixels.py)
    tv        mean of squared differences between neighbouring pixels

The losses see features, never the network. Departures from the paper: its content term ½ Σ (F − P)² is
divided by Σ P² (a number without units: 0 is the photograph, 1 is all lost); its Z_l^k and β, chosen by
hand for each method, are measured by `calibrate`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.version import use_torch_defaults

Features = dict[str, Tensor]
TINY = 1e-12
PULL = 20.0  # style gradient over content gradient at the reference image, for γ = 1


@dataclass(frozen=True)
class StyleTerm:
    """weight · d(F_l, S_l) / scale for one layer l and one method: scale is the paper's Z_l^k.

    positions: weights (1, M_l) of F's positions, where only a region is meant."""

    layer: str
    discrepancy: Discrepancy
    summary: Summary
    weight: float = 1.0
    scale: float = 1.0
    positions: Tensor | None = None
    name: str = ""  # of its curve, where that is not style/layer

    def __call__(self, features: Features) -> Tensor:
        distance = self.discrepancy.distance(features[self.layer], self.summary, self.positions)
        return self.weight / self.scale * distance.sum()


def style_terms(
    discrepancy: Discrepancy, features: Features, weights: dict[str, float], shares: Features | None = None
) -> tuple[StyleTerm, ...]:
    """One term per layer and part of the method; `weights` maps layers to w_l ≥ 0, made to add up to 1.
    shares: weights (1, M_l) of the style's positions at each layer, where several styles share it."""
    total = sum(weights.values())
    if not 0 < total < math.inf or min(weights.values()) < 0:
        raise ValueError(f"layer weights must be >= 0, not all zero and of a finite sum, got {weights}")
    parts = discrepancy.parts()
    share = sum(weight for _, weight in parts)
    if not 0 < share < math.inf:
        raise ValueError(f"the weights of {discrepancy} must have a finite sum > 0")
    return tuple(
        StyleTerm(
            layer,
            part,
            part.summary(features[layer], shares[layer] if shares else None),
            weight / total * fraction / share,
        )
        for layer, weight in weights.items()
        for part, fraction in parts
        if weight > 0 and fraction > 0
    )


def content_error(F: Tensor, P: Tensor) -> Tensor:
    """Σ (F − P)² / Σ P²: Eq. 4 without its units. Shapes (…, N, M) twice → scalar."""
    return (F - P).square().sum() / P.square().sum().clamp(min=TINY)


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels, down and across. (1, 3, H, W) → scalar."""
    return image.diff(dim=-1).square().mean() + image.diff(dim=-2).square().mean()


@dataclass(frozen=True)
class Objective:
    """α, β, γ and the targets of a run. Calling it gives the weighted terms; the loss is their sum."""

    content: Features
    style: tuple[StyleTerm, ...]
    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 1.0
    tv: float = 0.0
    palette: tuple[StyleTerm, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose features the terms need."""
        return tuple(dict.fromkeys([*self.content, *(t.layer for t in (*self.style, *self.palette))]))

    def __call__(self, image: Tensor, features: Features) -> dict[str, Tensor]:
        """{"content/relu4_2": …, "style/relu1_1": …, "tv": …}: scalars, differentiable in the image."""
        terms: dict[str, Tensor] = {}
        for layer, P in self.content.items():
            terms[f"content/{layer}"] = self.alpha / len(self.content) * content_error(features[layer], P)
        for term in (*self.style, *self.palette):
            name, value = term.name or f"style/{term.layer}", self.beta * self.gamma * term(features)
            terms[name] = terms[name] + value if name in terms else value
        if self.tv:
            terms["tv"] = self.tv * total_variation(image)
        return terms


@use_torch_defaults(gradients=True)
def calibrate(
    objective: Objective,
    encode: Callable[[Tensor], Features],
    reference: Tensor,
    *,
    keep_graph: bool = True,
    between: Callable[[], None] = lambda: None,
) -> Objective:
    """The objective with every Z_l^k and β measured, so that γ means the same for every method.

    The paper (§4) chooses β by hand so that the style's gradient on the image is as long as the
    content's, and Z_l^k per layer and kernel. Here both are measured, once, at a `reference` image
    (1, 3, H, W): Z_l^k makes each layer's and each part's gradient of unit length, β makes their sum
    `PULL` times as long as the content's (1 where there is no content term). Near the end of a run
    style gradients have shrunk by about that much, so γ = 1 is an even trade there. The palette's parts
    are measured alike and pull with the style's.
    keep_graph=False encodes anew for every gradient: less memory. between: called before each gradient,
    of which there is one for each part and layer; what it raises ends the calibration.
    """
    x = reference.detach().clone().requires_grad_(True)
    kept = encode(x) if keep_graph else None

    def gradient(value: Callable[[Features], Tensor]) -> Tensor:
        between()
        return torch.autograd.grad(value(kept or encode(x)), x, retain_graph=keep_graph)[0]

    def content(features: Features) -> Tensor:
        return torch.stack(
            [content_error(features[layer], P) for layer, P in objective.content.items()]
        ).mean()

    style, palette, pull = [], [], torch.zeros_like(x)
    for term in objective.style:
        bare = gradient(replace(term, weight=1.0, scale=1.0))
        style.append(replace(term, scale=_length(bare)))
        pull += term.weight / style[-1].scale * bare
    for term in objective.palette:
        bare = gradient(replace(term, weight=1.0, scale=1.0))
        palette.append(replace(term, scale=_length(bare)))
        pull += term.weight / palette[-1].scale * bare
    beta = 1.0
    if style and objective.content:
        beta = PULL * _length(gradient(content)) / _length(pull)
    return replace(objective, style=tuple(style), palette=tuple(palette), beta=beta)


def _length(gradient: Tensor) -> float:
    return max(float(gradient.norm()), TINY)
