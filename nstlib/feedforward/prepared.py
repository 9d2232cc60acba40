"""One pass from pictures of any size to a picture of the content's: sizes, regions, colours, clean-up.

onepass(content, style, method, strength)        all at once
ready = prepare(content, style, method)          what only the pictures and the method decide …
ready(strength)                                  … and what a slider asks for again and again
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.chain import Seen
from nstlib.feedforward.decoders import LEVELS
from nstlib.feedforward.frames import fitted, mirrored
from nstlib.feedforward.onepass import DETAIL, OnePass, Style
from nstlib.inputs import (
    check_image,
    check_images,
    check_masks,
    check_share,
    check_side,
    check_styles,
    describe_inputs,
)
from nstlib.synthesis import memory
from nstlib.synthesis.colours import Colours, prepared, with_chroma
from nstlib.synthesis.pixels import PALETTE, cleaned
from nstlib.synthesis.pyramid import COARSEST, enlarged, resized
from nstlib.synthesis.settings import Settings
from nstlib.version import surroundings, use_torch_defaults

LEVELS_OF_SIZE = 2
REACH = 0.04  # of the clean-up (synthesis/pixels.py): half of a run's, whose terms saw the colours before
PALETTE_SIDE = 96  # px of a style at which its colours are read
MOST_COUNT = 16  # of levels and rounds
BALANCE = 1 / 3  # γ at which one pass is half photograph, half style


@dataclass(frozen=True)
class Prepared:
    """Pictures and a method, ready for any strength.

    photograph: as given. sizes: the content (1, 3, H, W) and what is remembered of the styles, the smallest
    first. seen: the smallest content, encoded. palette: the styles' colours, and the mask (1, 1, H, W) where
    each applies (None: everywhere). recipe: the choices.
    """

    painter: OnePass
    photograph: Tensor
    sizes: tuple[tuple[Tensor, tuple[Style, ...]], ...]
    seen: Seen
    palette: tuple[tuple[Summary, Tensor | None], ...]
    recipe: dict[str, Any]

    @use_torch_defaults(gradients=False)
    def __call__(
        self, strength: float = 1.0, detail: float = DETAIL, palette: float = 1.0, rounds: int = 1
    ) -> Tensor:
        """The picture (1, 3, H, W) in [0, 1]; see `onepass`. Raises ValueError for values out of range."""
        check_share(strength, "strength")
        check_share(detail, "detail")
        _check_count(rounds, "rounds")
        palette = Settings(palette=palette).palette
        (before, styles), *larger = self.sizes
        x = self._painted(before, self.seen, styles, strength, detail)
        for content, styles in larger:
            seen = self.painter.see(enlarged(x, before, content))
            x, before = self._painted(content, seen, styles, strength, detail), content
        for _ in range(rounds - 1):
            x = self._painted(before, self.painter.see(x), styles, strength, detail)
        firm = palette * strength ** len(LEVELS)  # what is left of the photograph keeps its colours
        if firm:
            x = cleaned(x, list(self.palette), firm, REACH)
        if self.recipe["colours"] == "luminance":
            x = with_chroma(x, self.photograph)
        chosen = {"strength": strength, "detail": detail, "palette": palette, "rounds": rounds}
        x.recipe = self.recipe | chosen  # type: ignore[attr-defined]
        return x

    def _painted(
        self, content: Tensor, seen: Seen, styles: Sequence[Style], strength: float, detail: float
    ) -> Tensor:
        picture = self.painter(seen, styles, strength, detail)
        return picture[..., : content.shape[2], : content.shape[3]].contiguous()


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
    rounds: int = 1,
    seed: int | None = None,
    encoder: Encoder | str = "vgg19-slim",
) -> Tensor:
    """`content` in the style of `style` in one pass: (1, 3, H, W) in [0, 1], the content's size.

    content, style: (1, 3, H, W) RGB in [0, 1], any sizes. strength: 0 (the photograph) … 1. Several styles:
    mixed by `style_weights` >= 0 (none: all alike), or each in its own region by `masks`, one for each style,
    (1, 1, H, W) or (H, W), >= 0, of any size; where no mask reaches the photograph stays. detail: how much
    of the photograph's fine detail, which the decoder loses, is put back, 0 … 1: less is more painterly.
    levels: sizes worked through, each twice the one before, as in a run: more than one paints wider strokes
    (1: the full size only; a second one costs a quarter more). palette: how firmly stray colours are brought
    to the style's at the end, as in a run (0: the bare method, and faster). rounds: how often the full size
    is gone through: a second round sets right much of what the way back to pixels disturbed.
    colours, style_scale: see `Settings`. seed: of the method's random draws (None: the method's own). The
    image carries its recipe, as the images of a run do.
    Raises ValueError for shapes, ranges and an unknown method, TypeError for what is no tensor, MemoryError
    where the pass would not fit (see synthesis/memory.py).
    """
    choices: dict[str, Any] = {"style_weights": style_weights, "masks": masks, "levels": levels}
    choices |= {"colours": colours, "style_scale": style_scale, "seed": seed, "encoder": encoder}
    return prepare(content, style, method, **choices)(strength, detail, palette, rounds)


def strength_at(gamma: float) -> float:
    """What the balance factor γ >= 0 is to one pass: its strength.

    Two springs of stiffness 1 and γ/BALANCE, to the photograph and to the map's end, rest at the share
    γ / (γ + BALANCE) of the way. One pass mixes the photograph in at each of its five levels, so its strength
    is the fifth root of that share. BALANCE is a third because then the polynomial method moves the content
    about as far as a run does (harbour + strokes, 192 px, content error at relu4_2 for γ = 0.1, 0.3, 1: 0.17,
    0.27, 0.37; runs of 30 steps: 0.16, 0.29, 0.49). The maps of `linear` and `bn` move less than their runs.
    """
    return float((gamma / (gamma + BALANCE)) ** (1 / len(LEVELS)))


@use_torch_defaults(gradients=False)
def prepare(
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    method: str | Discrepancy = "poly",
    *,
    style_weights: Sequence[float] = (),
    masks: Sequence[Tensor] = (),
    levels: int = LEVELS_OF_SIZE,
    colours: Colours = "style",
    style_scale: float = 1.0,
    seed: int | None = None,
    encoder: Encoder | str = "vgg19-slim",
) -> Prepared:
    """What `onepass` does before it needs to know a strength. Raises as there."""
    content, pictures = check_image(content, "content"), list(check_images(style, "style"))
    regions, weights = check_masks(masks), tuple(style_weights)
    _check_count(levels, "levels")
    settings = Settings(
        method=method, colours=colours, style_scale=style_scale, style_weights=weights, seed=seed or 0
    )
    check_styles(len(pictures), len(regions), weights)
    inputs = describe_inputs(content=content, styles=pictures, masks=regions)
    painter = OnePass(encoder)
    shapes = [picture.shape[2:] for picture in pictures]
    for shape in shapes:
        check_side(shape, "style", painter.encoder.strides, LEVELS, settings.style_scale)
    d = settings.discrepancy if seed is None else settings.discrepancy.seeded(seed)
    memory.check_pass(settings, painter.encoder, content.shape[2:], shapes, len(regions))
    photograph = content.to(painter.encoder.device)
    content, shown = prepared(colours, photograph, tuple(picture.to(photograph) for picture in pictures))
    pictures = [_scaled(picture, style_scale) for picture in shown]
    side = min(min(image.shape[2:]) for image in (content, *pictures))
    coarse = min(levels - 1, max(0, math.floor(math.log2(side / COARSEST))))
    sizes = []
    for scale in (0.5**k for k in range(coarse, -1, -1)):
        target, *painted = (_scaled(image, scale) for image in (content, *pictures))
        if regions:
            whole = mirrored(target).shape[2:]
            placed = [fitted(mask, target.shape[2:], whole) for mask in regions]
            styles = [painter.remember(s, d, mask=m) for s, m in zip(painted, placed, strict=True)]
        else:
            styles = [painter.remember(painted, d, weights)]
        sizes.append((target, tuple(styles)))
    used = [s for s, share in zip(pictures, weights or [1.0] * len(pictures), strict=True) if share]
    seeds = {getattr(part, "seed", 0) for part, _ in d.parts()}
    recipe = {
        "kind": "onepass",
        "method": str(d),
        "seed": min(seeds),
        "levels": levels,
        "colours": colours,
        "style_scale": style_scale,
        "style_weights": list(weights),
        "size": list(photograph.shape[2:]),
        "inputs": inputs,
        "unrecorded": settings.unrecorded + (["the seeds of the method's parts"] if len(seeds) > 1 else []),
        "dtype": painter.encoder.dtype_name,
        "weights_sha256": painter.encoder.weights_hash,
        "device": str(painter.encoder.device),
        **surroundings(),
    }
    seen = painter.see(sizes[0][0])
    return Prepared(painter, photograph, tuple(sizes), seen, _colours(used, regions, content), recipe)


def _colours(
    pictures: Sequence[Tensor], masks: Sequence[Tensor], content: Tensor
) -> tuple[tuple[Summary, Tensor | None], ...]:
    """Which colours the styles have, and where: all of them everywhere, or each in its mask."""
    pixels = []
    for picture in pictures:  # some of the pixels will do
        step = max(1, max(picture.shape[2:]) // PALETTE_SIDE)
        pixels.append(picture[..., ::step, ::step].flatten(2).to(content))
    if not masks:
        return ((PALETTE.summary(torch.cat(pixels, -1)), None),)
    size = content.shape[2:]
    regions = (fitted(mask, size, size).clamp(max=1).to(content) for mask in masks)
    return tuple((PALETTE.summary(S), region) for S, region in zip(pixels, regions, strict=True))


def _scaled(image: Tensor, scale: float) -> Tensor:
    height, width = (max(1, round(side * scale)) for side in image.shape[2:])
    return resized(image, height, width)


def _check_count(value: int, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_COUNT:
        raise ValueError(f"{name} must be a whole number in 1 … {MOST_COUNT}, got {value!r}")
