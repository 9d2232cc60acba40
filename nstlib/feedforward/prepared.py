"""One forward pass with several sizes, regions, colours and the palette projection.

onepass(content, style, method, strength)        does everything at once
ready = prepare(content, style, method)          computes what the strength does not change
ready(strength)                                  computes the image for one strength
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nstlib import inputs
from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.decoders import LEVELS
from nstlib.feedforward.memory import choose_tile
from nstlib.feedforward.pipeline import DETAIL, FULL, Encoded, OnePass, Style
from nstlib.feedforward.tiles import decode_in_tiles, summarize_style
from nstlib.synthesis.colours import Colours, prepare_colours, with_chroma
from nstlib.synthesis.pixels import remove_outlier_colours, summarize_palette
from nstlib.synthesis.pyramid import COARSEST, resize_mask, scale_image, upsample_change
from nstlib.synthesis.settings import Settings
from nstlib.version import environment_info, refuse_device, use_torch_defaults

N_SIZES = 1
REACH = 0.026  # RGB distance that the palette projection allows at strength 1
EVEN = 1 / 2  # γ at which the style's share is 1/2; with this value, a pass keeps as much content as a run
PALETTE_SIDE = 96  # px: a style is subsampled before its colours are read, but not below this longest side
MOST_COUNT = 16  # largest number of levels, and of rounds


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`. Call it with a strength to get the image of one pass."""

    model: OnePass
    content: Tensor  # (1, 3, H, W), as given
    sizes: tuple[
        tuple[Tensor, tuple[Style, ...]], ...
    ]  # content and style statistics at each size, the smallest first
    encoded: Encoded | None  # the content at the smallest size; None in tiles
    tile: int | None  # side of the tiles in px; None: the whole image at once
    palette: tuple[tuple[Summary, Tensor | None], ...]  # colours, and the mask (1, 1, H, W) where they apply
    recipe: dict[str, Any]

    @use_torch_defaults(gradients=False)
    def __call__(
        self, strength: float = 1.0, detail: float = DETAIL, palette: float = 1.0, rounds: int = 1
    ) -> Tensor:
        """Returns the image (1, 3, H, W) in [0, 1]. Arguments and errors are those of `onepass`."""
        inputs.check_share(strength, "strength")
        inputs.check_share(detail, "detail")
        _check_count(rounds, "rounds")
        palette = Settings(palette=palette).palette

        def work(x: Tensor, styles: Sequence[Style]) -> Tensor:
            if self.tile:
                return decode_in_tiles(self.model, x, styles, strength, detail, self.tile)
            return self.model(self.model.encode_content(x), styles, strength, detail)

        (before, styles), *larger = self.sizes
        encoded = self.encoded
        x = self.model(encoded, styles, strength, detail) if encoded else work(before, styles)
        for content, styles in larger:
            x = work(upsample_change(x, before, content), styles)
            before = content
        for _ in range(rounds - 1):
            x = work(x, styles)
        if projection := palette * strength:  # at strength 0 the content keeps its colours
            x = remove_outlier_colours(x, list(self.palette), projection, REACH)
        if self.recipe["colours"] == "luminance":
            x = with_chroma(x, self.content)
        chosen = {"strength": strength, "detail": detail, "palette": palette, "rounds": rounds}
        x.recipe = self.recipe | chosen  # type: ignore[attr-defined]
        return x


@refuse_device
def onepass(
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    method: str | Discrepancy = "poly",
    strength: float = 1.0,
    *,
    style_weights: Sequence[float] = (),
    masks: Sequence[Tensor] = (),
    detail: float = DETAIL,
    levels: int = N_SIZES,
    palette: float = 1.0,
    colours: Colours = "style",
    style_scale: float = 1.0,
    rounds: int = 1,
    seed: int | None = None,
    memory: str = "auto",
    encoder: Encoder | str = "vgg19-slim",
) -> Tensor:
    """Gives `content` the style of `style` in one forward pass.

    Args:
        content: (1, 3, H, W) RGB in [0, 1], any size.
        style: one image of the same form, or several, which are mixed, or placed by `masks`.
        method: a method, or its name.
        strength: 0 (the content) … 1.
        style_weights: weight >= 0 of each style in the mixture; empty: equal weights.
        masks: one for each style, (1, 1, H, W) or (H, W), >= 0, of any size. Where every mask is 0, the
            content stays unchanged.
        detail: fraction of the content's fine detail to restore, 0 … 1. Less detail looks more painterly.
        levels: number of sizes, 1 … 16, each twice the size before it. More sizes give more style and wider
            strokes. Two sizes take a quarter more time than one.
        palette: strength of the palette projection, 0 (no projection, which is faster) … 100.
        colours, style_scale: as in `Settings`.
        rounds: number of passes at full size, 1 … 16. Two passes come closer to the style than one, and
            lose more of the content.
        seed: seed of the method's random numbers. None: the seeds in the method's options.
        memory: as in `Settings`. If the whole image needs more, the pass works in tiles.
        encoder: the embedded encoder, as a name or loaded.

    Returns:
        The image (1, 3, H, W) in [0, 1], of the content's size. Its attribute `recipe` records the arguments.

    Raises:
        TypeError: an image or a mask is not a tensor.
        ValueError: a shape or a value is out of range, or the method is unknown.
        MemoryError: the pass does not fit in memory.
    """
    choices: dict[str, Any] = {"style_weights": style_weights, "masks": masks, "levels": levels}
    choices |= {
        "colours": colours,
        "style_scale": style_scale,
        "seed": seed,
        "memory": memory,
        "encoder": encoder,
    }
    return prepare(content, style, method, **choices)(strength, detail, palette, rounds)


def gamma_to_strength(gamma: float) -> float:
    """Returns the strength of one pass that corresponds to a run's balance factor γ >= 0; 1 from γ = 2 on.

    FULL · strength is the style's share γ / (γ + EVEN). The decoder was trained with `BALANCE`, 1/3, in place
    of EVEN. Here, 1/3 would make a pass lose more of the content than the run that corresponds to it.
    """
    return float(min(1.0, gamma / (gamma + EVEN) / FULL))


@refuse_device
@use_torch_defaults(gradients=False)
def prepare(
    content: Tensor,
    style: Tensor | Sequence[Tensor],
    method: str | Discrepancy = "poly",
    *,
    style_weights: Sequence[float] = (),
    masks: Sequence[Tensor] = (),
    levels: int = N_SIZES,
    colours: Colours = "style",
    style_scale: float = 1.0,
    seed: int | None = None,
    memory: str = "auto",
    encoder: Encoder | str = "vgg19-slim",
) -> Prepared:
    """Computes the part of `onepass` that does not depend on the strength.

    The arguments and errors are those of `onepass`. The result holds a reference to `content`, so
    do not change this tensor in place.
    """
    content = inputs.check_image(content, "content", copy=False)  # a copy would double the memory
    images = inputs.check_images(style, "style", copy=False)
    regions, weights = inputs.check_masks(masks), tuple(style_weights)
    _check_count(levels, "levels")
    settings = Settings(
        method=method,
        colours=colours,
        style_scale=style_scale,
        style_weights=weights,
        seed=seed or 0,
        memory=memory,
    )
    inputs.check_styles(len(images), len(regions), weights)
    described = inputs.describe_inputs(content=content, styles=images, masks=regions)
    model = OnePass(encoder)
    shapes = [image.shape[2:] for image in images]
    for shape in shapes:
        inputs.check_side(shape, "style", model.encoder.strides, LEVELS, style_scale)
    d = settings.discrepancy if seed is None else settings.discrepancy.with_seed(seed)
    tile = choose_tile(
        settings, model.encoder, content.shape[2:], max(shapes, key=math.prod), len(images), len(regions)
    )

    given = content.to(model.encoder.device)
    content, images = prepare_colours(colours, given, tuple(image.to(given) for image in images))
    images = tuple(scale_image(image, style_scale) for image in images)
    side = min(min(image.shape[2:]) for image in (content, *images))
    coarse = min(levels - 1, max(0, math.floor(math.log2(side / COARSEST))))
    # pairs (indices of styles, mask): all styles everywhere, or each style in its mask
    groups: list[tuple[list[int], Tensor | None]] = [([k], mask) for k, mask in enumerate(regions)]
    groups = groups or [([*range(len(images))], None)]
    sizes = []
    for scale in (0.5**k for k in range(coarse, -1, -1)):
        target, *painted = (scale_image(image, scale) for image in (content, *images))
        styles = []
        for which, mask in groups:
            own, place = [painted[k] for k in which], None if mask is None else resize_mask(mask, target)
            if tile:
                styles.append(summarize_style(model, own, d, weights, place, tile))
            else:
                styles.append(model.encode_style(own, d, weights, place))
        sizes.append((target, tuple(styles)))
    palette = []
    steps = [max(1, max(image.shape[2:]) // PALETTE_SIDE) for image in images]
    for which, mask in groups:
        own = [images[k][..., :: steps[k], :: steps[k]] for k in which]  # enough to read the colours
        region = None if mask is None else resize_mask(mask, content).clamp(max=1)
        palette.append((summarize_palette(own, weights or [1.0] * len(own)), region))

    seeds = {getattr(part, "seed", 0) for part, _ in d.components()}
    recipe = {
        "kind": "onepass",
        "method": str(d),
        "seed": min(seeds),
        "levels": levels,
        "tile": tile,
        "colours": colours,
        "style_scale": style_scale,
        "style_weights": list(weights),
        "size": list(given.shape[2:]),
        "inputs": described,
        "unrecorded": settings.unrecorded + (["the seeds of the method's parts"] if len(seeds) > 1 else []),
        "dtype": model.encoder.dtype_name,
        "weights_sha256": model.encoder.weights_hash,
        "device": str(model.encoder.device),
        **environment_info(),
    }
    encoded = None if tile else model.encode_content(sizes[0][0])
    return Prepared(model, given, tuple(sizes), encoded, tile, tuple(palette), recipe)


def _check_count(value: int, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_COUNT:
        raise ValueError(f"{name} must be a whole number in 1 … {MOST_COUNT}, got {value!r}")
