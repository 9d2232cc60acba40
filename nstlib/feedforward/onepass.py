"""Any style, any method, in one forward pass: encode, move the features, decode. No optimisation.

    photograph ─► encoder ─► P_1 … P_5 ─► the chain, with the method's transport at every level ─► picture
    style      ─► encoder ─► what the method remembers of it, per level

After *universal style transfer* (Li, Fang, Yang, Wang, Lu and Yang 2017), which whitens and colours; here the
map is the method's own. `OnePass` keeps what does not change between two pictures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.methods import method as parse_method
from nstlib.alignment.transports import remembered, toward
from nstlib.encoders.encoder import Encoder, load_encoder
from nstlib.feedforward.chain import Seen, render, see
from nstlib.feedforward.decoders import LEVELS, Decoder, load_decoder
from nstlib.feedforward.frames import fitted, mirrored, region_at
from nstlib.synthesis.colours import Colours, prepared, with_chroma
from nstlib.synthesis.pixels import PALETTE, cleaned
from nstlib.synthesis.pyramid import COARSEST, enlarged, resized
from nstlib.version import surroundings

DETAIL = 1.0
LEVELS_OF_SIZE = 2
REACH = 0.04  # of the clean-up (synthesis/pixels.py): half of a run's, whose terms saw the colours before
PALETTE_SIDE = 96  # px of a style at which its colours are read
TINY = 1e-12


@dataclass(frozen=True)
class Style:
    """What `method` remembers of a style, per layer, and where it applies: a mask (1, 1, H, W), or all."""

    method: Discrepancy
    summaries: dict[str, Summary]
    mask: Tensor | None = None


class OnePass:
    """The embedded encoder and its decoder, ready to be used again and again.

        painter = OnePass()
        seen, style = painter.see(content), painter.remember(style, "poly")   # once each
        painter(seen, [style], strength=0.7)                                  # for every picture

    encoder: the embedded one, by name or loaded: the decoder knows no other. Raises ValueError.
    """

    def __init__(self, encoder: Encoder | str = "vgg19-slim", decoder: Decoder | None = None) -> None:
        self.encoder = encoder if isinstance(encoder, Encoder) else load_encoder(encoder, dtype="auto")
        if self.encoder.name != "vgg19-slim":
            raise ValueError(f"one pass needs the embedded encoder 'vgg19-slim', got {self.encoder.name!r}")
        self.decoder = decoder or load_decoder(device=str(self.encoder.device), dtype=self.encoder.dtype)

    @torch.no_grad()
    def see(self, content: Tensor) -> Seen:
        """A photograph (1, 3, H, W) in [0, 1], encoded."""
        x = mirrored(content.to(self.encoder.device).contiguous(memory_format=torch.channels_last))
        return see(self.decoder, x, self.encoder.maps(x, LEVELS))

    @torch.no_grad()
    def remember(
        self,
        styles: Tensor | Sequence[Tensor],
        method: str | Discrepancy = "poly",
        weights: Sequence[float] = (),
        mask: Tensor | None = None,
    ) -> Style:
        """A style (1, 3, H, W), or the mixture of several, by `weights` >= 0 (none: all alike)."""
        pictures = [styles] if isinstance(styles, Tensor) else list(styles)
        parts = list(weights) or [1.0] * len(pictures)
        if len(parts) != len(pictures) or not pictures:
            raise ValueError(f"need one weight for each style: {len(parts)} for {len(pictures)}")
        d = parse_method(method) if isinstance(method, str) else method
        seen = [self.encoder(picture, LEVELS) for picture in pictures]
        if len(seen) == 1:
            return Style(d, {layer: remembered(d, seen[0][layer]) for layer in LEVELS}, mask)
        summaries = {}
        for layer in LEVELS:
            each = [F[layer] for F in seen]
            counts = [
                F.new_full((F.shape[-1],), part / F.shape[-1]) for F, part in zip(each, parts, strict=True)
            ]
            summaries[layer] = remembered(d, torch.cat(each, -1), torch.cat(counts))
        return Style(d, summaries, mask)

    @torch.no_grad()
    def __call__(
        self, seen: Seen, styles: Sequence[Style], strength: float = 1.0, detail: float = DETAIL
    ) -> Tensor:
        """The picture (1, 3, H, W) in [0, 1], of the size of `seen`, a multiple of 16.
        styles: one, or one with a mask for each region."""

        masks = [style.mask for style in styles if style.mask is not None]
        photograph = seen.maps[0]

        def move(x: Tensor, layer: str) -> Tensor:
            F = x.flatten(2)
            if not masks:
                return toward(styles[0].method, F, styles[0].summaries[layer]).view_as(x)
            sizes = [region_at(mask, x.shape[2:]).to(F) for mask in masks]
            whole, result = torch.stack(sizes).sum(0).clamp(min=TINY), torch.zeros_like(F)
            for style, size in zip(styles, sizes, strict=True):
                if bool(size.sum() > 0):
                    moved = toward(style.method, F, style.summaries[layer], weights=size)
                    result = result + size / whole * moved
            return result.view_as(x)

        picture = render(self.decoder, seen, move, strength, detail)
        if masks:  # where none reaches the photograph stays
            reach = torch.stack(masks).sum(0).clamp(max=1).to(picture)
            picture = torch.lerp(photograph, picture, reach)
        return picture.clamp(0, 1)


def onepass(
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    method: str | Discrepancy = "poly",
    strength: float = 1.0,
    *,
    style_weights: Sequence[float] = (),
    masks: Sequence[Tensor] = (),
    detail: float = DETAIL,
    levels: int = LEVELS_OF_SIZE,
    palette: float = 1.0,
    colours: Colours = "style",
    style_scale: float = 1.0,
    encoder: Encoder | str = "vgg19-slim",
) -> Tensor:
    """`content` in the style of `style` in one pass: (1, 3, H, W) in [0, 1], the content's size.

    content, style: (1, 3, H, W) RGB in [0, 1], any sizes. strength: 0 (the photograph) … 1. Several styles:
    mixed by `style_weights` >= 0 (none: all alike), or each in its own region by `masks`, one for each style,
    (1, 1, H, W) or (H, W), >= 0, of any size; where no mask reaches the photograph stays. detail: how much
    of the photograph's fine detail, which the decoder loses, is put back, 0 … 1: less is more painterly.
    levels: sizes worked through, each twice the one before, as in a run: more than one paints wider strokes
    (1: the full size only; a second one costs a quarter more). palette: how firmly stray colours are brought
    to the style's at the end, as in a run (0: the bare method, and faster).
    colours, style_scale: see `Settings`.
    Raises ValueError for shapes, ranges and an unknown method.
    """
    pictures = [style] if isinstance(style, Tensor) else list(style)
    _check(content, pictures, strength, detail, levels, style_weights, masks)
    if not 0.1 <= style_scale <= 8:
        raise ValueError(f"style_scale must lie in 0.1 … 8, got {style_scale}")
    painter, x, before = OnePass(encoder), None, None
    photograph = content.to(painter.encoder.device)
    content, seen = prepared(colours, photograph, tuple(picture.to(photograph) for picture in pictures))
    pictures = [_scaled(picture, style_scale) for picture in seen]
    side = min(min(image.shape[2:]) for image in (content, *pictures))
    coarse = min(levels - 1, max(0, math.floor(math.log2(side / COARSEST))))
    for scale in (0.5**k for k in range(coarse, -1, -1)):
        target, *painted = (_scaled(image, scale) for image in (content, *pictures))
        start = target if x is None else enlarged(x, before, target)
        whole = mirrored(start)
        if masks:
            regions = [fitted(mask, start.shape[2:], whole.shape[2:]) for mask in masks]
            styles = [painter.remember(s, method, mask=m) for s, m in zip(painted, regions, strict=True)]
        else:
            styles = [painter.remember(painted, method, style_weights)]
        picture = painter(painter.see(whole), styles, strength, detail)
        x, before = picture[..., : start.shape[2], : start.shape[3]].contiguous(), target
    assert x is not None
    firm = palette * strength ** len(LEVELS)  # what is left of the photograph keeps its colours
    if firm:
        used = [s for s, share in zip(pictures, style_weights or [1.0] * len(pictures), strict=True) if share]
        x = cleaned(x, _colours(used, masks, x), firm, REACH)
    if colours == "luminance":
        x = with_chroma(x, photograph)
    made = recipe(painter.encoder, styles[0].method, strength, detail, levels)
    made |= {"palette": palette, "colours": colours, "style_scale": style_scale}
    x.recipe = made | {"style_weights": list(style_weights)}  # type: ignore[attr-defined]
    return x


def _colours(
    pictures: Sequence[Tensor], masks: Sequence[Tensor], x: Tensor
) -> list[tuple[Summary, Tensor | None]]:
    """Which colours the styles have, and where: all of them everywhere, or each in its mask."""
    pixels = []
    for picture in pictures:  # some of the pixels will do
        step = max(1, max(picture.shape[2:]) // PALETTE_SIDE)
        pixels.append(picture[..., ::step, ::step].flatten(2).to(x))
    if not masks:
        return [(PALETTE.summary(torch.cat(pixels, -1)), None)]
    regions = (fitted(mask, x.shape[2:], x.shape[2:]).clamp(max=1).to(x) for mask in masks)
    return [(PALETTE.summary(S), region) for S, region in zip(pixels, regions, strict=True)]


def _scaled(image: Tensor, scale: float) -> Tensor:
    height, width = (max(1, round(side * scale)) for side in image.shape[2:])
    return resized(image, height, width)


def _check(
    content: Tensor,
    pictures: Sequence[Tensor],
    strength: float,
    detail: float,
    levels: int,
    style_weights: Sequence[float],
    masks: Sequence[Tensor],
) -> None:
    for name, picture in (("content", content), *(("style", picture) for picture in pictures)):
        if picture.dim() != 4 or picture.shape[:2] != (1, 3) or not bool(picture.isfinite().all()):
            raise ValueError(f"{name} must be a finite image (1, 3, H, W), got shape {tuple(picture.shape)}")
    for name, value in (("strength", strength), ("detail", detail)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in 0 … 1, got {value}")
    if levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    if masks and (style_weights or len(masks) != len(pictures)):
        raise ValueError("give either style_weights or masks, and one mask for each style")


def recipe(
    encoder: Encoder, method: Discrepancy, strength: float, detail: float, levels: int
) -> dict[str, Any]:
    """What it takes to make this picture again, as plain JSON values."""
    return {
        "kind": "onepass",
        "method": str(method),
        "strength": strength,
        "detail": detail,
        "levels": levels,
        "weights_sha256": encoder.weights_hash,
        "device": str(encoder.device),
        **surroundings(),
    }
