"""Which styles go where: mixtures of several styles, and masks.

A style is a distribution of features, so several styles are their mixture: the features of all, side by side,
each style's positions sharing its weight. A mask weighs the positions of the picture instead: its term
compares the distribution inside the mask with a style. Both are the discrepancies' weights of positions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nstlib.alignment.discrepancy import Summary
from nstlib.alignment.moments import mixture
from nstlib.synthesis import pixels
from nstlib.synthesis.objective import Features, StyleTerm


def several(style: Tensor | tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
    """A style or several as a tuple."""
    if style is None:
        return ()
    return (style,) if isinstance(style, Tensor) else tuple(style)


@dataclass(frozen=True)
class Region:
    """Styles `which`, with their weights, where `mask` (1, 1, H, W) is (None: everywhere).

    pictures: those styles at full size, for the palette."""

    which: tuple[int, ...]
    weights: tuple[float, ...]
    mask: Tensor | None
    pictures: tuple[Tensor, ...]

    def mixture(self, known: Sequence[Features]) -> tuple[Features, Features | None]:
        """The features of the region's styles, out of those of all, and what each position counts."""
        if len(self.which) == 1:
            return known[self.which[0]], None
        features, shares = {}, {}
        for layer in known[0]:
            features[layer], shares[layer] = mixture([known[k][layer] for k in self.which], self.weights)
        return features, shares

    def placed(self, terms: Iterable[StyleTerm], sizes: Mapping[str, Sequence[int]]) -> list[StyleTerm]:
        """The terms for the region's positions. Gradients are calibrated to one length; that of a part of
        the picture, a, is √a as long where every pixel is pulled alike, so that is its weight."""
        if self.mask is None:
            return list(terms)
        mask, area = self.mask, float(self.mask.clamp(max=1).mean())
        return [
            replace(
                term,
                weight=term.weight * area**0.5,
                positions=_resize(mask, sizes[term.layer]).flatten(1),
            )
            for term in terms
        ]

    @cached_property
    def colours(self) -> Summary:
        """What the palette remembers of these styles; a style of weight 0 lends no colour."""
        parts = [style.flatten(2) for style, w in zip(self.pictures, self.weights, strict=True) if w]
        return pixels.PALETTE.summary(torch.cat(parts, -1))

    @cached_property
    def spreads(self) -> list[Tensor]:
        """How far these styles' colours and their grain vary, mixed."""
        return pixels.spreads(self.pictures, self.weights)


def _resize(mask: Tensor, size: Sequence[int]) -> Tensor:
    """The mask's means over the positions of a map; on the CPU, for MPS pools by whole factors only."""
    return interpolate(mask.cpu(), tuple(size), mode="area").to(mask.device)
