"""One pass over an image in tiles. It holds one tile, the images and the deep features in memory.

The transport of a level depends on the mean and the covariance of all its features. A sweep over the tiles of
the level adds these up (alignment/fitted.py). All other steps are local. To decode a tile, the decoder needs
the features of the next deeper level in a larger area, see `Decoder.reach`. It also needs the content's
features there, which the encoder computes with a window. Features are stored at the levels 5 … `STORED`, one
level at a time. The maps of shallower levels are larger, so their features are decoded again whenever a tile
needs them. The result equals that for the whole image.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Fusion, LinearMMD, Summary
from nstlib.alignment.fitted import Map, fit_map
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.moments import covariance_mean, pool_moments
from nstlib.alignment.transports import MANY
from nstlib.alignment.wasserstein import Coral, Wasserstein
from nstlib.encoders import boxes
from nstlib.encoders.boxes import Box, within
from nstlib.feedforward.decoders import LEVELS, STAGES
from nstlib.feedforward.memory import STORED
from nstlib.feedforward.pipeline import (
    FULL,
    SHALLOW,
    STRIDE,
    OnePass,
    Style,
    method_shares,
    pad_to_multiple,
    pool_mask,
)
from nstlib.synthesis import tiles
from nstlib.synthesis.colours import blend_by_masks
from nstlib.version import use_torch_defaults


@use_torch_defaults(gradients=False)
def decode_in_tiles(
    model: OnePass, content: Tensor, styles: Sequence[Style], strength: float, detail: float, tile: int
) -> Tensor:
    """Returns what `model(model.encode_content(content), styles, strength, detail)` returns.

    Args:
        content: (1, 3, H, W) in [0, 1].
        styles: style statistics. Every part of their methods must have a type in `memory.MOMENTS`.
        tile: side of a tile in pixels, a multiple of 16.
    """
    if not strength:
        return content.clone()
    work = _Pass(model, content, styles, strength, detail)
    for level in range(5, -1, -1):
        work.prepare(level, tile)
    return work.finish(tile)[..., : content.shape[2], : content.shape[3]].contiguous()


class _Pass:
    """The state of a pass: features of one level before transport, and the maps of all levels so far."""

    def __init__(
        self, model: OnePass, content: Tensor, styles: Sequence[Style], strength: float, detail: float
    ) -> None:
        self.model, self.styles, self.detail = model, styles, detail
        self.share, self.methods = FULL * strength, method_shares(styles[0].method)
        self.content = content.to(model.encoder.device)
        if any(side % STRIDE for side in content.shape[2:]):  # otherwise padding would only copy it
            self.content = pad_to_multiple(self.content)
        self.masks = [pad_to_multiple(s.mask, "replicate") for s in styles if s.mask is not None]
        self.strides = (1, *(model.encoder.strides[layer] for layer in LEVELS))
        self.sizes = [[side // stride for side in self.content.shape[2:]] for stride in self.strides]
        self.stored: dict[int, Tensor] = {}
        self.maps: dict[int, list[Map]] = {}

    def prepare(self, level: int, tile: int) -> None:
        """Fits the transport maps of a level. If it is a deep level or level 0, stores its features."""
        layer, encoder = STAGES[level], self.model.encoder
        styles = self.styles
        moments: list[list[tuple[float, Tensor, Tensor]]] = [[] for _ in styles]
        samples: list[list[Tensor]] = [[] for _ in styles]
        weights: list[list[Tensor]] = [[] for _ in styles]
        kept, step = None, math.ceil(math.prod(self.sizes[level]) / MANY)
        if level >= STORED or level == 0:
            shape = (1, encoder.channels.get(layer, 3), *self.sizes[level])
            kept = self.content.new_empty(shape, dtype=encoder.dtype if level else None)
            kept = kept.contiguous(memory_format=torch.channels_last) if level else kept
        for box in self.boxes(level, tile):
            x = self.decode(level, box)
            if kept is not None:
                kept[(..., *box)] = x
            regions = self.regions(level, box)
            for k in range(len(styles)):
                F, region = x.float().flatten(2), None
                if regions:
                    region = regions[k].flatten().to(F)
                    F, region = F[..., region > 0], region[region > 0]
                if F.shape[-1]:
                    share = F.shape[-1] if region is None else float(region.sum())
                    moments[k].append((share, *covariance_mean(F, region)))
                    samples[k].append(F[..., ::step].clone())
                    weights[k].append((F.new_ones(F.shape[-1]) if region is None else region)[::step])
        if kept is not None:
            self.stored = {level: kept}
        self.maps[level] = [
            fit_map(s.method, s.summaries[layer], *pool_moments(m), torch.cat(F, -1), torch.cat(w))
            if m
            else torch.clone  # a region without positions
            for s, m, F, w in zip(styles, moments, samples, weights, strict=True)
        ]

    def finish(self, tile: int) -> Tensor:
        """Transports the pixels. Returns the image with the padding of the content."""
        image = self.stored[0]
        for box in self.boxes(0, tile):
            own, part = self.content[(..., *box)], image[(..., *box)]
            x = self.move(part, 0, box)
            if self.masks:
                x = blend_by_masks(own, x, self.regions(0, box))
            part.copy_(x.clamp_(0, 1))
        return image

    def boxes(self, level: int, tile: int) -> Iterator[Box]:
        """Yields the tiles of a level."""
        return boxes.tiles(self.sizes[level], tile // self.strides[level])

    def regions(self, level: int, box: Box) -> list[Tensor]:
        """Returns the masks at the positions `box` of a level."""
        place, shape = boxes.enlarge(box, self.strides[level]), [side.stop - side.start for side in box]
        return [pool_mask(mask[(..., *place)], shape) for mask in self.masks]

    def move(self, x: Tensor, level: int, box: Box) -> Tensor:
        """Moves the features x (1, N, h, w) at the positions `box` of a level towards the styles."""
        regions = self.regions(level, box)
        return self.model.move(x, self.maps[level], regions, level, self.methods, self.share)

    def decode(self, level: int, box: Box) -> Tensor:
        """Returns the features at the positions `box` of a level, before their transport."""
        seen, top, decoder = {level: box}, level, self.model.decoder
        while top < 5 and top not in self.stored:
            seen[top + 1] = self.widen(seen[top], top + 1)
            top += 1
        # areas[k]: the positions of level k that are decoded from seen[k + 1]
        areas = {k: boxes.enlarge(seen[k + 1], self.ratio(k + 1)) for k in range(level, top)}
        own = self.encode(areas | {top: seen[top]})
        x = self.stored[top][(..., *seen[top])] if top in self.stored else own[top]
        for k in range(top - 1, level - 1, -1):
            x = self.move(x, k + 1, seen[k + 1])
            residual = own[k] - decoder.up(own[k + 1], k + 1)
            up = decoder.up(x, k + 1)
            response = decoder.respond(own[k], k)
            x = self.model.combine(up, response, residual, k, self.methods, self.share, self.detail)
            inside = (..., *within(seen[k], areas[k]))
            x, own[k] = x[inside], own[k][inside]
        return x

    def encode(self, areas: Mapping[int, Box]) -> dict[int, Tensor]:
        """Returns the content's features at the positions `areas`, as {level: (1, N, h, w)}."""
        layers = {LEVELS[level - 1]: box for level, box in areas.items() if level}
        window = self.model.encoder.window(self.content.shape[2:], layers)
        crop, dtype = window.cut(self.content), self.model.decoder.dtype
        maps = self.model.encoder.maps(crop, layers, window=window, dtype=dtype)
        return {
            level: maps[LEVELS[level - 1]] if level else self.content[(..., *box)]
            for level, box in areas.items()
        }

    def widen(self, box: Box, level: int) -> Box:
        """Returns the positions of `level` that are needed to decode the positions `box` of level − 1."""
        box = boxes.shrink(box, self.ratio(level))
        return boxes.widen(box, self.model.decoder.reach(level), self.sizes[level])

    def ratio(self, level: int) -> int:
        """Returns how many positions of level − 1, along a side, correspond to one position of this level."""
        return self.strides[level] // self.strides[level - 1]


def _needed(part: Discrepancy, near: bool = False) -> list[Discrepancy]:
    """Returns methods whose statistics suffice for the map of `part`. near: without its Newton steps."""
    if not isinstance(part, GaussianMMD | Wasserstein):
        return [part]
    moments: list[Discrepancy] = [Coral(), LinearMMD()]
    if near or isinstance(part, Wasserstein):
        return moments
    return [*moments, replace(part, estimator="features")]


@use_torch_defaults(gradients=False)
def summarize_style(
    model: OnePass,
    images: Sequence[Tensor],
    d: Discrepancy,
    weights: Sequence[float],
    mask: Tensor | None,
    tile: int,
) -> Style:
    """Returns what `model.encode_style(images, d, weights, mask)` returns, computed in tiles."""
    methods = dict.fromkeys(method for part, _ in d.components() for method in _needed(part))
    parts = [(layer, method) for layer in STAGES for method in methods]
    found = tiles.summarize(parts, model.encoder, images, weights or [1.0] * len(images), tile)

    def summary(part: Discrepancy, layer: str, near: bool) -> Summary:
        return {name: value for m in _needed(part, near) for name, value in found[layer, m].items()}

    summaries: dict[str, Summary] = {}
    for layer in STAGES:
        if isinstance(d, Fusion):
            own = {str(k): summary(part, layer, False) for k, (part, _) in enumerate(d.components())}
            summaries[layer] = own  # type: ignore[assignment]
        else:
            summaries[layer] = summary(d, layer, layer in SHALLOW)
    return Style(d, summaries, mask)
