"""The objective of a run: α · content + β γ · style (paper, Eq. 3), as named terms.

    content   Σ (F − P)² / Σ P²                             relative squared error of the content features P
    style     Σ_l w_l/Σw · Σ_k v_k · d_k(F_l, S_l) / Z_l^k  discrepancies d_k with fusion weights v_k
    palette   Σ_k v_k · d_k(pixels) / Z^k                   the style's colours and grain (see pixels.py)
    tv        mean of squared differences between neighbouring pixels

Every term compares an embedding (a mean or a sum over positions) with its target. So the terms of an image
can be computed from the sums of its tiles' embeddings (tiles.py). This module uses features and no network.

This module departs from the paper twice. The content term ½ Σ (F − P)² is divided by ½ Σ P², so it has no
unit (1 is its value for F = 0). `calibrate` measures Z_l^k and β, which the paper chooses by hand.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Summary
from nstlib.alignment.palette import Palette
from nstlib.encoders import IMAGE
from nstlib.synthesis.terms import (
    TINY,
    ContentTerm,
    Features,
    StyleTerm,
    Term,
    VariationTerm,
    relative_errors,
)
from nstlib.version import rename_arguments, use_torch_defaults

PULL = 20.0  # length of the style gradient relative to the content's, at the reference image for γ = 1
CALIBRATION_NOISE = 0.2  # standard deviation of the noise on the reference image


@dataclass(frozen=True)
class Objective:
    """The targets of a run and their weights. A call returns the weighted terms, whose sum is the loss."""

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

    @cached_property
    def weighted(self) -> list[tuple[str, float, Term]]:
        """All terms with their names and weights."""
        content: list[tuple[str, float, Term]] = [
            (f"content/{layer}", self.alpha / len(self.content), ContentTerm(layer, P))
            for layer, P in self.content.items()
        ]
        style: list[tuple[str, float, Term]] = [
            (term.name or f"style/{term.layer}", self.beta * self.gamma, term)
            for term in (*self.style, *self.palette)
        ]
        if self.tv:
            style.append(("tv", self.tv, VariationTerm()))
        return content + style

    def embed(self, image: Tensor, features: Features) -> list[Summary]:
        """Returns the embedding of every term."""
        return [term.embed((features | {IMAGE: image})[term.layer]) for _, _, term in self.weighted]

    def compare(self, embeddings: Sequence[Summary]) -> dict[str, Tensor]:
        """Returns the weighted terms from their embeddings."""
        terms: dict[str, Tensor] = {}
        for (name, weight, term), embedding in zip(self.weighted, embeddings, strict=True):
            value = weight * term.compare(embedding)
            terms[name] = terms[name] + value if name in terms else value
        return terms

    def __call__(self, image: Tensor, features: Features) -> dict[str, Tensor]:
        """Returns {"content/relu4_2": …, "style/relu1_1": …, "tv": …}, scalars with a gradient."""
        return self.compare(self.embed(image, features))

    def batch_means(self, image: Tensor, features: Features) -> dict[str, Tensor]:
        """Returns the mean over a batch (B, 3, H, W) of each weighted term, in few operations.

        `content` holds the targets (B, N, M) of the batch. Style terms must not have masks.
        """
        terms: dict[str, Tensor] = {}
        for name, weight, term in self.weighted:
            F = (features | {IMAGE: image})[term.layer]
            if isinstance(term, ContentTerm):  # each error is relative to its own content
                value = relative_errors(F, term.target).mean()
            elif isinstance(term, StyleTerm) and isinstance(term.discrepancy, Palette):
                value = term.compare(term.embed(F.movedim(1, 0).flatten(1)[None]))  # the pixels of all images
            else:
                value = term.compare(term.embed(F)) / len(image)
            terms[name] = terms.get(name, 0) + weight * value
        return terms


def uniform_noise(image: Tensor, seed: int) -> Tensor:
    """Returns uniform noise in [0, 1] of an image's shape, the same numbers on every device."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(image.shape, generator=generator, dtype=torch.float32).to(image.device)


def add_noise(image: Tensor, seed: int) -> Tensor:
    """Returns the image with noise of the standard deviation `CALIBRATION_NOISE`."""
    noise = (uniform_noise(image, seed) - 0.5) * math.sqrt(12)
    return (image + CALIBRATION_NOISE * noise).clamp(0, 1)


@rename_arguments(between="check_cancel")
@use_torch_defaults(gradients=True)
def calibrate(
    objective: Objective,
    encode: Callable[[Tensor], Features | list[Summary]],
    reference: Tensor,
    *,
    check_cancel: Callable[[], None] = lambda: None,
) -> Objective:
    """Returns the objective with weights measured from gradients, so that γ means the same for every method.

    The paper (§4) chooses Z_l^k and β by hand; β makes the gradients of style and content equally long. Here
    both are measured once. Z_l^k scales the gradient of each layer and part of the method (and of the
    palette) to length 1. β makes their sum `PULL` times as long as the content gradient. During a run, style
    gradients shrink by about this factor, so γ = 1 is an even balance near the end.

    Args:
        objective: The objective, whose scales and β are replaced. Without content, β is 1.
        encode: Image → features at `objective.layers`, or the embeddings of the terms (see tiles.py).
        reference: Image (1, 3, H, W), with noise (see `add_noise`), at which gradients are measured.
        check_cancel: Called before each gradient (one per part and layer). An exception ends the calibration.
    """
    x = reference.detach().clone().requires_grad_(True)
    found = encode(x)
    embeddings = objective.embed(x, found) if isinstance(found, dict) else found
    first = len(objective.content)

    def gradient(value: Tensor) -> Tensor:
        check_cancel()
        return torch.autograd.grad(value, x, retain_graph=True)[0]

    terms, pull, beta = [], torch.zeros_like(x), 1.0
    for k, term in enumerate((*objective.style, *objective.palette), first):
        bare = gradient(replace(term, weight=1.0, scale=1.0).compare(embeddings[k]))
        terms.append(replace(term, scale=_length(bare)))
        pull += term.weight / terms[-1].scale * bare
    if objective.style and objective.content:
        content = zip(objective.weighted[:first], embeddings[:first], strict=True)
        errors = [term.compare(embedding) for (_, _, term), embedding in content]
        beta = PULL * _length(gradient(torch.stack(errors).mean())) / _length(pull)
    count = len(objective.style)
    return replace(objective, style=tuple(terms[:count]), palette=tuple(terms[count:]), beta=beta)


def _length(gradient: Tensor) -> float:
    return max(float(gradient.norm()), TINY)
