"""The objective of a run with one or several styles, which mixtures or masks combine.

A style is a distribution of features, so several styles form a mixture: their features are concatenated, and
the weight of each style is divided among its positions. A mask gives weights to the positions of the image
instead: its terms compare the distribution inside the mask with a style. Both are weights of positions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.moments import mix_samples
from nstlib.encoders.encoder import Encoder
from nstlib.synthesis import pixels, tiles
from nstlib.synthesis.objective import Objective, add_noise, calibrate
from nstlib.synthesis.settings import Settings
from nstlib.synthesis.terms import Features, StyleTerm, make_terms
from nstlib.version import rename_arguments


@rename_arguments(which="style_indices")
@dataclass(frozen=True)
class Region:
    """Styles, and the part of the image where they apply."""

    style_indices: tuple[int, ...]  # indices of the styles
    weights: tuple[float, ...]
    mask: Tensor | None  # (1, 1, H, W); None: everywhere
    palette: Summary  # this and the next: statistics of the styles' pixels (see pixels.py)
    covariances: list[Tensor]

    def summarize(self, encoded: Sequence[Features], layer: str, d: Discrepancy) -> Summary:
        """Returns the statistics of the region's styles, given the features of all styles."""
        F = [encoded[k][layer] for k in self.style_indices]
        return d.summary(F[0]) if len(F) == 1 else d.summary(*mix_samples(F, self.weights))

    def apply_mask(self, terms: Iterable[StyleTerm], sizes: Mapping[str, Sequence[int]]) -> list[StyleTerm]:
        """Returns the terms for the region's positions. sizes: (H_l, W_l) of each layer.

        Calibration scales gradients to length 1. If all pixels have equally long gradients, the gradient of a
        region with the fraction a of the pixels is √a times as long as the whole one, so its weight is √a.
        """
        if self.mask is None:
            return list(terms)
        mask, area = self.mask.cpu(), float(self.mask.clamp(max=1).mean())  # MPS pools only by whole factors
        return [
            replace(
                term,
                weight=term.weight * area**0.5,
                positions=interpolate(mask, tuple(sizes[term.layer]), mode="area").to(self.mask).flatten(1),
            )
            for term in terms
        ]


def make_regions(settings: Settings, styles: Sequence[Tensor], masks: Sequence[Tensor] = ()) -> list[Region]:
    """Returns a region for each mask (1, 1, H, W) that is not empty, or one for the mixture of all styles."""
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
    tile: int | None = None,
) -> Objective:
    """Returns the calibrated objective for images (1, 3, H, W) of one size.

    content: None for a texture. styles: Empty for a reconstruction of the content. regions: By default the
    mixture of all styles everywhere. check_cancel: See `calibrate`. tile: See tiles.py.
    """
    regions = make_regions(settings, styles) if regions is None else regions
    image = styles[0] if content is None else content
    layers = settings.style_layers or encoder.style_layers
    weights = dict(zip(layers, settings.layer_weights or [1.0] * len(layers), strict=True))
    below = (pixels.PIXELS, pixels.GRAIN) if settings.palette else ()
    method = settings.discrepancy.with_seed(settings.seed)
    P: Features = {}
    terms: list[StyleTerm] = []
    palette: list[StyleTerm] = []
    with torch.no_grad():
        if content is not None and settings.alpha:
            deep = settings.content_layers or (encoder.content_layer,)
            P = encoder(content, deep) if tile is None else tiles.encode(encoder, content, deep, tile)
        segments = pixels.make_windows(encoder, image.shape[2:], layers, max(image.shape[2:]))
        sizes = {layer: size for windows in segments for layer, size in windows[0].sizes.items()}
        encoded = []
        if tile is None:
            encoded = [pixels.encode(encoder, style, (*layers, *below)) for style in styles]
        parts = [(layer, d) for layer in weights for d, _ in method.components()]
        parts += [(layer, d) for _, layer, d, _ in pixels.PARTS if below and d is not pixels.PALETTE]
        for region in regions:
            if tile is None:
                summaries = {part: region.summarize(encoded, *part) for part in parts}
            else:
                own = [styles[k] for k in region.style_indices]
                summaries = tiles.summarize(parts, encoder, own, region.weights, tile)
            terms += region.apply_mask(make_terms(method, weights, summaries), sizes)
            if settings.palette:
                palette += region.apply_mask(pixels.terms(summaries, region.palette, settings.palette), sizes)
    objective = Objective(P, tuple(terms), settings.alpha, 1.0, settings.gamma, settings.tv, tuple(palette))

    def embed(x: Tensor) -> list[Summary]:
        return tiles.embed(objective, encoder, x, tile)

    return calibrate(objective, embed, add_noise(image, settings.seed), check_cancel=check_cancel)
