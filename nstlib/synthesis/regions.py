"""The objective of a run: which styles apply where, by mixtures and masks, and the terms for them.

A style is a distribution of features, so several styles are their mixture: the features of all side by side,
where the positions of a style share its weight. A mask weighs the positions of the image instead: its term
compares the distribution inside the mask with a style. Both are the discrepancies' weights of positions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nstlib.alignment.discrepancy import Summary
from nstlib.alignment.moments import mix_samples
from nstlib.encoders.encoder import Encoder
from nstlib.synthesis import pixels
from nstlib.synthesis.objective import Features, Objective, StyleTerm, add_noise, calibrate, style_terms
from nstlib.synthesis.settings import Settings
from nstlib.version import rename_arguments


@rename_arguments(which="style_indices")
@dataclass(frozen=True)
class Region:
    """Styles, and where they apply."""

    style_indices: tuple[int, ...]  # indices of the styles
    weights: tuple[float, ...]
    mask: Tensor | None  # (1, 1, H, W); None: everywhere
    palette: Summary  # of the styles' pixels, like the covariances (see pixels.py)
    covariances: list[Tensor]

    def mix_styles(self, encoded: Sequence[Features]) -> tuple[Features, Features | None]:
        """Return the features of the region's styles, out of those of all, and the weights of positions."""
        if len(self.style_indices) == 1:
            return encoded[self.style_indices[0]], None
        found = {
            name: mix_samples([encoded[k][name] for k in self.style_indices], self.weights)
            for name in encoded[0]
        }
        return {name: F for name, (F, _) in found.items()}, {name: w for name, (_, w) in found.items()}

    def apply_mask(self, terms: Iterable[StyleTerm], sizes: Mapping[str, Sequence[int]]) -> list[StyleTerm]:
        """Return the terms for the region's positions; sizes: (H_l, W_l) of each layer.

        Calibrated gradients have one length. That of a share a of the image is √a as long where every pixel
        is moved alike, so √a is its weight.
        """
        if self.mask is None:
            return list(terms)
        mask, area = self.mask.cpu(), float(self.mask.clamp(max=1).mean())  # MPS pools by whole factors only
        return [
            replace(
                term,
                weight=term.weight * area**0.5,
                positions=interpolate(mask, tuple(sizes[term.layer]), mode="area").to(self.mask).flatten(1),
            )
            for term in terms
        ]


def make_regions(settings: Settings, styles: Sequence[Tensor], masks: Sequence[Tensor] = ()) -> list[Region]:
    """Return a region for each mask (1, 1, H, W) that is not empty, or one for the mixture of all styles."""
    places: list[tuple[tuple[int, ...], Tensor | None]] = [((k,), mask) for k, mask in enumerate(masks)]
    if styles and not masks:
        places = [(tuple(range(len(styles))), None)]
    regions = []
    for indices, mask in places:
        if mask is None or bool((mask > 0).any()):
            own, weights = [styles[k] for k in indices], settings.style_weights or (1.0,) * len(indices)
            palette = pixels.summarize_palette(own, weights) if settings.palette else {}
            covariances = pixels.band_covariances(own, weights) if settings.palette else []
            regions.append(Region(indices, weights, mask, palette, covariances))
    return regions


def build_objective(
    settings: Settings,
    encoder: Encoder,
    content: Tensor | None,
    styles: Sequence[Tensor],
    regions: Sequence[Region] | None = None,
    check_cancel: Callable[[], None] = lambda: None,
) -> Objective:
    """Return the calibrated objective for images (1, 3, H, W) of one size.

    content: None for a texture. styles: Empty for a reconstruction of the content. regions: By default the
    mixture of all styles everywhere. check_cancel: See `calibrate`.
    """
    regions = make_regions(settings, styles) if regions is None else regions
    image = styles[0] if content is None else content
    layers = settings.style_layers or encoder.style_layers
    weights = dict(zip(layers, settings.layer_weights or [1.0] * len(layers), strict=True))
    below = (pixels.PIXELS, pixels.GRAIN) if settings.palette else ()
    method, small = settings.discrepancy.with_seed(settings.seed), settings.memory == "small"
    P: Features = {}
    terms: list[StyleTerm] = []
    palette: list[StyleTerm] = []
    with torch.no_grad():
        if content is not None and settings.alpha:
            P = encoder(content, settings.content_layers or (encoder.content_layer,))
        encoded = [pixels.encode(encoder, style, (*layers, *below)) for style in styles]
        sizes = {}
        if any(region.mask is not None for region in regions):
            sizes = {layer: F.shape[2:] for layer, F in encoder.maps(image, layers).items()}
            sizes |= dict.fromkeys(below, image.shape[2:])
        for region in regions:
            S, shares = region.mix_styles(encoded)
            terms += region.apply_mask(style_terms(method, S, weights, shares), sizes)
            if settings.palette:
                palette += region.apply_mask(pixels.terms(S, shares, region.palette, settings.palette), sizes)
    objective = Objective(P, tuple(terms), settings.alpha, 1.0, settings.gamma, settings.tv, tuple(palette))

    def encode(x: Tensor) -> Features:
        return pixels.encode(encoder, x, objective.layers, checkpoint=small)

    reference = add_noise(image, settings.seed)
    return calibrate(objective, encode, reference, keep_graph=not small, check_cancel=check_cancel)
