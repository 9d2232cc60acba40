"""One forward pass for any style and any method: encode, transport the features, decode.

    P_5 ─► T_5 ─► block 5 ─► T_4 ─► block 4 ─► … ─► block 2 ─► T_1 ─► block 1 ─► T_0 ─► image

P_5 are the content's features at relu5_1. T_l is the method's transport (alignment/transports.py) to the
style statistics at relu{l}_1, and T_0 to those of the pixels. Each block loses fine detail of the content,
and its residual restores this detail. For each method, the decoder has learned how far to move the features
and how much detail to restore at a strength (decoders.py). At strength 0 the result is the content.

The scheme is that of *universal style transfer* (Li, Fang, Yang, Wang, Lu and Yang 2017), whose map whitens
and colours. This module works at one size; prepared.py adds several sizes and the palette projection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.fitted import Map
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.methods import method as parse_method
from nstlib.alignment.moments import covariance_mean, mix_samples
from nstlib.alignment.transports import transport_map, transport_summary
from nstlib.encoders.boxes import missing
from nstlib.encoders.encoder import Encoder, load_encoder
from nstlib.feedforward.decoders import LEVELS, METHODS, STAGES, Decoder, load_decoder
from nstlib.inputs import check_image, check_images, check_styles
from nstlib.synthesis.colours import blend_by_masks
from nstlib.version import use_torch_defaults

DETAIL = 1.0
BALANCE = 1 / 3  # γ at which the share k = γ / (γ + BALANCE) of the style is one half
FULL = 0.8  # share at strength 1. It belongs to γ = 4/3, up to which the discrepancy decreases.
STRIDE = 16  # px between positions of relu5_1
# At these layers, a Gaussian kernel's map matches moments only. Newton steps take long at so many positions,
# and decoding loses what they gain (residual discrepancy: 0.210 with the steps, 0.208 without).
SHALLOW = ("pixels", "relu1_1", "relu2_1")
TINY = 1e-12


@dataclass(frozen=True)
class Encoded:
    """What the decoder needs of a content image."""

    size: Sequence[int]  # (height, width) of the image
    # the padded image, then `Decoder.respond` of the content's features P_1 … P_5, each (1, N_l, H_l, W_l)
    maps: tuple[Tensor, ...]
    residuals: tuple[Tensor, ...]  # P_l − block(P_{l+1}) for levels 0 (pixels) … 4


@dataclass(frozen=True)
class Style:
    """The statistics of a style."""

    method: Discrepancy
    summaries: dict[str, Summary]  # by layer
    mask: Tensor | None = None  # where the style applies, (1, 1, H, W) of the content's size


class OnePass:
    """The embedded encoder and its decoder. Encode content and style once, and decode with any strength.

        model = OnePass()
        encoded, statistics = model.encode_content(content), model.encode_style(style, "poly")
        image = model(encoded, [statistics], strength=0.7)

    Args:
        encoder: the embedded encoder, as a name or loaded.
        decoder: a decoder for this encoder. None: the bundled one.

    Raises:
        ValueError: `encoder` is not the embedded encoder.
    """

    def __init__(self, encoder: Encoder | str = "vgg19-slim", decoder: Decoder | None = None) -> None:
        self.encoder = encoder if isinstance(encoder, Encoder) else load_encoder(encoder, dtype="auto")
        if self.encoder.name != "vgg19-slim":
            raise ValueError(f"one pass needs the embedded encoder 'vgg19-slim', got {self.encoder.name!r}")
        self.decoder = decoder or load_decoder(device=str(self.encoder.device), dtype=self.encoder.dtype)

    @use_torch_defaults(gradients=False)
    def encode_content(self, content: Tensor) -> Encoded:
        """Encodes a content image (1, 3, H, W) in [0, 1]. Raises TypeError or ValueError if it is not one."""
        x = check_image(content, "content").to(self.encoder.device)
        x = pad_to_multiple(x.contiguous(memory_format=torch.channels_last))
        features = self.encoder.maps(x, LEVELS, dtype=self.decoder.dtype)
        maps = (x, *(features[layer] for layer in LEVELS))
        residuals = tuple(maps[level - 1] - self.decoder.up(maps[level], level) for level in range(1, 6))
        responses = (self.decoder.respond(own, level) for level, own in enumerate(maps))
        return Encoded(content.shape[2:], tuple(responses), residuals)

    @use_torch_defaults(gradients=False)
    def encode_style(
        self,
        styles: Tensor | Sequence[Tensor],
        method: str | Discrepancy = "poly",
        weights: Sequence[float] = (),
        mask: Tensor | None = None,
    ) -> Style:
        """Computes the statistics of a style, or of a mixture of several.

        Args:
            styles: one image (1, 3, H, W) in [0, 1], or several.
            method: a method, or its name.
            weights: weight >= 0 of each style in the mixture. Empty: equal weights.
            mask: where the style applies, (1, 1, H, W) >= 0 of the content's size. None: everywhere.

        Raises:
            TypeError, ValueError: a style is no image, the method is unknown, or the weights do not fit.
        """
        images = check_images(styles, "styles")
        check_styles(len(images), 0, weights)
        d = parse_method(method) if isinstance(method, str) else method
        features = [
            {"pixels": image.to(self.encoder.device).flatten(2), **self.encoder(image, LEVELS)}
            for image in images
        ]
        summaries: dict[str, Summary] = {}
        for layer in STAGES:
            S, shares = features[0][layer], None
            if len(images) > 1:
                S, shares = mix_samples([F[layer] for F in features], weights or [1.0] * len(images))
            if isinstance(d, GaussianMMD) and layer in SHALLOW:
                C, μ = covariance_mean(S, shares)
                summaries[layer] = {"covariance": C, "mean": μ}
            else:
                summaries[layer] = transport_summary(d, S, shares)
        return Style(d, summaries, mask)

    @use_torch_defaults(gradients=False)
    def __call__(
        self, encoded: Encoded, styles: Sequence[Style], strength: float = 1.0, detail: float = DETAIL
    ) -> Tensor:
        """Decodes the content in one style, or in several, each within its mask.

        Args:
            styles: one style, or several with masks. Outside all masks the content stays unchanged.
            strength: 0 (the content) … 1.
            detail: fraction of the content's fine detail to restore, 0 … 1.

        Returns:
            The image (1, 3, H, W) in [0, 1], of the content's size.
        """
        masks = [pad_to_multiple(s.mask, "replicate") for s in styles if s.mask is not None]
        share, methods = FULL * strength, method_shares(styles[0].method)
        x = encoded.maps[5 if strength else 0]
        for level in range(5 if strength else -1, -1, -1):
            if level < 5:
                up, residual = self.decoder.up(x, level + 1), encoded.residuals[level]
                x = self.combine(up, encoded.maps[level], residual, level, methods, share, detail)
            regions = [pool_mask(mask, x.shape[2:]).to(x.device) for mask in masks]
            weights: list[Tensor | None] = [region.flatten() for region in regions] or [None]
            maps = [
                partial(transport_map, s.method, summary=s.summaries[STAGES[level]], weights=w)
                for s, w in zip(styles, weights, strict=True)
            ]
            x = self.move(x, maps, regions, level, methods, share)
        if masks:
            x = blend_by_masks(encoded.maps[0], x, masks)
        return x[..., : encoded.size[0], : encoded.size[1]].clamp(0, 1).contiguous()

    def move(
        self,
        x: Tensor,
        maps: Sequence[Map],
        regions: Sequence[Tensor],
        level: int,
        methods: Tensor,
        share: float,
    ) -> Tensor:
        """Moves the features x of a level towards the styles, by the strength that the decoder learned."""
        F = x.float()
        moved, amount = mix_regions(F, maps, regions), self.decoder.strength(level, methods, share)
        return moved.lerp_(F, 1 - amount).to(x.dtype)

    def combine(
        self,
        up: Tensor,
        response: Tensor,
        residual: Tensor,
        level: int,
        methods: Tensor,
        share: float,
        detail: float,
    ) -> Tensor:
        """Returns the features of a level: decoded features `up`, plus the residual, plus the correction.

        `response` and `residual` are those of `Encoded`. `Decoder.reach` covers the correction.
        """
        x = self.decoder.mix(up, residual if detail == 1 else detail * residual, level, methods, share)
        return self.decoder.refine(x, response, level, methods, share)


def mix_regions(x: Tensor, maps: Sequence[Map], regions: Sequence[Tensor]) -> Tensor:
    """Applies the first map to features x (1, N, H, W), or each map in its region (1, 1, H, W)."""
    F = x.flatten(2)
    if not regions:
        return maps[0](F).view_as(x)
    weights = [region.flatten().to(F) for region in regions]
    total, result = torch.stack(weights).sum(0).clamp(min=TINY), torch.zeros_like(F)
    for move, region in zip(maps, weights, strict=True):
        if bool(region.any()):
            result += region / total * move(F)
    return result.view_as(x)


def pool_mask(mask: Tensor, size: Sequence[int]) -> Tensor:
    """Averages a mask (1, 1, H, W) to the `size` (height, width) of a level."""
    return interpolate(mask.cpu(), tuple(size), mode="area")


def method_shares(d: Discrepancy) -> Tensor:
    """Returns the shares (4,) of `decoders.METHODS` in a method. Any other part counts as "wasserstein"."""
    shares = torch.zeros(len(METHODS))
    for part, weight in d.components():
        name = getattr(part, "name", "")
        own = name in METHODS and not getattr(part, "c", 0)  # poly with c > 0 matches covariances
        shares[METHODS.index(name if own else "wasserstein")] += weight
    return shares / shares.sum()


def pad_to_multiple(image: Tensor, mode: str = "reflect") -> Tensor:
    """Pads an image (1, C, H, W) at the bottom and the right, so that H and W are multiples of `STRIDE`."""
    below, right = (missing(side, STRIDE) for side in image.shape[2:])
    small = below >= image.shape[2] or right >= image.shape[3]  # too small to be reflected
    return pad(image, (0, right, 0, below), mode="replicate" if small else mode)
