"""The objective of a run: α · content + β γ · style (paper, Eq. 3), as named terms.

    content   Σ (F − P)² / Σ P²                             relative squared error of the content features P
    style     Σ_l w_l/Σw · Σ_k v_k · d_k(F_l, S_l) / Z_l^k  discrepancies d_k with fusion weights v_k
    palette   Σ_k v_k · d_k(pixels) / Z^k                   the style's colours and grain (see pixels.py)
    tv        mean of squared differences between neighbouring pixels

The terms depend on features and not on the network. Departures from the paper: its content term
½ Σ (F − P)² is divided by Σ P², so that it has no unit (0 is the content, 1 is all of it lost). Its Z_l^k and
β, chosen by hand for each method, are measured by `calibrate`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.version import rename_arguments, use_torch_defaults

Features = dict[str, Tensor]
TINY = 1e-12
PULL = 20.0  # style gradient over content gradient at the reference image, for γ = 1
CALIBRATION_NOISE = 0.2  # standard deviation of the noise on the reference image


@dataclass(frozen=True)
class StyleTerm:
    """weight · d(F_l, S_l) / scale for one layer l and one method; scale is the paper's Z_l^k.

    positions: Weights (1, M_l) of F's positions, for a region of the image. name: Of its curve (default:
    style/layer).
    """

    layer: str
    discrepancy: Discrepancy
    summary: Summary
    weight: float = 1.0
    scale: float = 1.0
    positions: Tensor | None = None
    name: str = ""

    def __call__(self, features: Features) -> Tensor:
        distance = self.discrepancy.distance(features[self.layer], self.summary, self.positions)
        return self.weight / self.scale * distance.sum()


def style_terms(
    discrepancy: Discrepancy, features: Features, weights: dict[str, float], shares: Features | None = None
) -> tuple[StyleTerm, ...]:
    """Return one term for each layer and part of a method, with the statistics of the style.

    Args:
        features: Of the style, {layer: (1, N_l, M_l)}.
        weights: {layer: w_l >= 0}, which are scaled to a sum of 1.
        shares: Weights (1, M_l) of the style's positions at each layer, where several styles share it.

    Raises:
        ValueError: The weights of the layers or of the method's parts have no finite sum > 0.
    """
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
            part.summary(features[layer], shares[layer] if shares else None),
            weight / total * fraction / share,
        )
        for layer, weight in weights.items()
        for part, fraction in parts
        if weight > 0 and fraction > 0
    )


def content_error(F: Tensor, P: Tensor) -> Tensor:
    """Σ (F − P)² / Σ P², Eq. 4 without its unit: (..., N, M) twice → scalar."""
    return (F - P).square().sum() / P.square().sum().clamp(min=TINY)


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels: (1, 3, H, W) → scalar."""
    return image.diff(dim=-1).square().mean() + image.diff(dim=-2).square().mean()


@dataclass(frozen=True)
class Objective:
    """The targets of a run and their weights; calling it gives the weighted terms, whose sum is the loss."""

    content: Features
    style: tuple[StyleTerm, ...]
    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 1.0
    tv: float = 0.0
    palette: tuple[StyleTerm, ...] = ()

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers whose features the terms need."""
        return tuple(dict.fromkeys([*self.content, *(t.layer for t in (*self.style, *self.palette))]))

    def __call__(self, image: Tensor, features: Features) -> dict[str, Tensor]:
        """Return {"content/relu4_2": …, "style/relu1_1": …, "tv": …}, scalars differentiable in the image."""
        terms: dict[str, Tensor] = {}
        for layer, P in self.content.items():
            terms[f"content/{layer}"] = self.alpha / len(self.content) * content_error(features[layer], P)
        for term in (*self.style, *self.palette):
            name, value = term.name or f"style/{term.layer}", self.beta * self.gamma * term(features)
            terms[name] = terms[name] + value if name in terms else value
        if self.tv:
            terms["tv"] = self.tv * total_variation(image)
        return terms


def uniform_noise(image: Tensor, seed: int) -> Tensor:
    """Return uniform noise in [0, 1] of an image's shape, the same numbers on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(image.shape, generator=generator, dtype=torch.float32).to(image.device)


def add_noise(image: Tensor, seed: int) -> Tensor:
    """Return the image with noise of the standard deviation `CALIBRATION_NOISE`."""
    noise = (uniform_noise(image, seed) - 0.5) * math.sqrt(12)
    return (image + CALIBRATION_NOISE * noise).clamp(0, 1)


@rename_arguments(between="check_cancel")
@use_torch_defaults(gradients=True)
def calibrate(
    objective: Objective,
    encode: Callable[[Tensor], Features],
    reference: Tensor,
    *,
    keep_graph: bool = True,
    check_cancel: Callable[[], None] = lambda: None,
) -> Objective:
    """Return the objective with every Z_l^k and β measured, so that γ means the same for every method.

    The paper (§4) chooses by hand Z_l^k per layer and kernel, and β so that the style's gradient on the image
    is as long as the content's. Here both are measured once: Z_l^k makes the gradient of each layer and part
    of the method (and of the palette) one unit long, β makes their sum `PULL` times as long as the content's.
    Near the end of a run style gradients have shrunk by about that much, so γ = 1 is an even balance there.

    Args:
        objective: Its scales and β are replaced; without content β is 1.
        encode: Image → features at `objective.layers`.
        reference: Image (1, 3, H, W) at which gradients are measured, with some noise (see `add_noise`).
        keep_graph: False encodes anew for every gradient, which needs less memory.
        check_cancel: Called before each gradient, of which there is one for each part and layer. What it
            raises ends the calibration.
    """
    x = reference.detach().clone().requires_grad_(True)
    kept = encode(x) if keep_graph else None

    def gradient(value: Callable[[Features], Tensor]) -> Tensor:
        check_cancel()
        return torch.autograd.grad(value(kept or encode(x)), x, retain_graph=keep_graph)[0]

    def content(features: Features) -> Tensor:
        errors = [content_error(features[layer], P) for layer, P in objective.content.items()]
        return torch.stack(errors).mean()

    terms, pull, beta = [], torch.zeros_like(x), 1.0
    for term in (*objective.style, *objective.palette):
        bare = gradient(replace(term, weight=1.0, scale=1.0))
        terms.append(replace(term, scale=_length(bare)))
        pull += term.weight / terms[-1].scale * bare
    if objective.style and objective.content:
        beta = PULL * _length(gradient(content)) / _length(pull)
    count = len(objective.style)
    return replace(objective, style=tuple(terms[:count]), palette=tuple(terms[count:]), beta=beta)


def _length(gradient: Tensor) -> float:
    return max(float(gradient.norm()), TINY)
