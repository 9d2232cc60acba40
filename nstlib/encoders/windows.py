"""Windows: crops of an image whose features equal those of the whole image.

The receptive field of position k of a layer with stride s is the pixels k s − before … k s + after. A window
has the positions of one tile of the image. They are computed from a crop that contains all their receptive
fields. The crop starts at a multiple of the deepest stride, so that its pooling cells are those of the
image. It is padded like the image, but only where it touches the image's border.

Receptive fields of deep layers are large, so a network runs in segments. Each segment ends with the first map
of a stride of 4, 8, … This map is small, and it is stored for the whole image, with the padding. The next
segment cuts its crops from this map. They are small, because a segment has few layers.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from torch import Tensor, nn

from nstlib.encoders.boxes import Box, divide, shift
from nstlib.encoders.networks import Network

IMAGE = "image"  # a layer of stride 1: the pixels; differences also need one more pixel on each side
CUT = 4  # the stride of the first map that is stored


@dataclass(frozen=True)
class Window:
    """One tile of a segment.

    crop: The rows and columns of the map of `start` from which the tile is computed. padding, mode: Arguments
    of torch's `pad` for the crop. positions: {layer: rows and columns of the tile in the whole image's map}.
    `IMAGE` may be one of the layers. inside: The same rows and columns in the crop's map. sizes: {layer:
    (H_l, W_l) of the whole image's map}. start: The stage from whose map the segment starts, or `IMAGE`.
    end: The stage whose map the next segment starts from, with its padding, or "".
    """

    crop: Box
    padding: tuple[int, int, int, int]
    mode: str
    positions: dict[str, Box]
    inside: dict[str, Box]
    sizes: dict[str, tuple[int, int]]
    start: str = IMAGE
    end: str = ""

    def cut(self, image: Tensor) -> Tensor:
        """Returns the crop of an image, or of the map of `start`, (..., H, W)."""
        return image[(..., *self.crop)]

    def select(self, values: Tensor, layer: str) -> Tensor:
        """Selects from the values (..., M_l) of a layer those at the window's positions, (..., M)."""
        maps = values.view(*values.shape[:-1], *self.sizes[layer])
        return maps[(..., *self.positions[layer])].flatten(-2)

    def write(self, F: Tensor, layer: str, whole: Tensor) -> None:
        """Copies the window's features F (1, N_l, M) into the map (1, N_l, H_l, W_l) of the whole image."""
        part = whole[(..., *self.positions[layer])]
        part.copy_(F.view(part.shape))

    def share(self, layer: str) -> float:
        """Returns the fraction of the layer's positions that the window has."""
        (rows, columns), (height, width) = self.positions[layer], self.sizes[layer]
        return float((rows.stop - rows.start) * (columns.stop - columns.start) / (height * width))


@dataclass(frozen=True)
class Segment:
    """The stages after `start` (a stage or `IMAGE`) up to `end` (a stage, or "" for the deepest layer).

    strides: Strides of its maps in pixels. fields: (before, after) of each map, see `reach`, in positions of
    `start`. padding: Padding of the image in pixels.
    """

    start: str
    end: str
    strides: dict[str, int]
    fields: dict[str, tuple[int, int]]
    padding: int

    def maps(self) -> list[str]:
        """Returns the names of the maps that the segment computes."""
        return [name for name in self.strides if name != self.start]

    def ring(self, name: str) -> int:
        """Returns the width of the padding with which a map is stored, in positions."""
        return self.padding // self.strides[name] if name == self.end else 0


def segments(network: Network, layers: Iterable[str]) -> list[Segment]:
    """Divides a network into segments that compute the given layers."""
    names, layers = list(network.stages), tuple(layers)
    places = {IMAGE: -1, "": len(names)} | {name: k for k, name in enumerate(names)}
    before = names[: max((places[layer] for layer in layers), default=0)]
    cuts = [
        name
        for above, name in pairwise(before)
        if network.strides[name] > network.strides[above] and network.strides[name] >= CUT
    ]
    return [
        _segment(network, a, b, [layer for layer in layers if places[a] < places[layer] <= places[b]])
        for a, b in pairwise([IMAGE, *cuts, ""])
    ]


def _segment(network: Network, start: str, end: str, layers: Iterable[str]) -> Segment:
    names = [*layers, *([end] if end else [])]
    strides = {name: network.strides.get(name, 1) for name in (start, *names)}
    fields = {name: reach(path) for name, path in receptive_fields(network, names, start).items()}
    return Segment(start, end, strides, fields | {IMAGE: (1, 1)}, network.padding)


def receptive_fields(
    network: Network, layers: Iterable[str], start: str = IMAGE
) -> dict[str, list[tuple[int, int, int]]]:
    """Returns {layer: [(kernel, stride, padding), …]} of the convolutions and pools after `start`."""
    wanted, found, path = set(layers), {}, []
    for name, stage in network.stages.items():
        for part, module in stage.named_modules():  # shortcuts have smaller fields
            if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) and "downsample" not in part:
                sides = (module.kernel_size, module.stride, module.padding)
                path.append(tuple(side[0] if isinstance(side, tuple) else int(side) for side in sides))
        if name in wanted:
            found[name] = list(path)
        if name == start:
            path.clear()
    return found  # type: ignore[return-value]


def reach(path: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Returns (before, after): the pixels of the receptive field on each side of a position."""
    before = after = 0
    scale = 1
    for kernel, stride, padding in path:
        before, after, scale = (
            before + padding * scale,
            after + (kernel - 1 - padding) * scale,
            scale * stride,
        )
    return before, after


def make_windows(
    network: Network, size: Sequence[int], layers: Iterable[str], tile: int
) -> list[list[Window]]:
    """Divides an image of `size` (H, W) into tiles. Returns a list of windows for each segment.

    tile: Approximate side of the tiles of the first segment, in pixels. The tiles of the other segments are
    twice as wide, because their maps are smaller.
    """
    parts = segments(network, layers)
    counts = [_counts(network, side, {name for part in parts for name in part.strides}) for side in size]
    found = []
    for part in parts:
        step = tile if part.start == IMAGE else 2 * tile
        sides = (_divide(part, own, step) for own in counts)
        boxes = (
            {name: (down[name], across[name]) for name in down if name in across}
            for down, across in product(*sides)
        )
        found.append([_window(part, counts, positions) for positions in boxes if positions])
    return found


def make_window(network: Network, size: Sequence[int], positions: Mapping[str, Box]) -> Window:
    """Returns a window for the `positions` {layer: rows and columns} of an image of `size` (H, W)."""
    counts = [_counts(network, side, positions) for side in size]
    return _window(_segment(network, IMAGE, "", positions), counts, positions)


def _counts(network: Network, side: int, layers: Iterable[str]) -> dict[str, int]:
    """Returns how many positions each layer has along a side of the image."""
    counts = {IMAGE: side}
    for layer, path in receptive_fields(network, layers).items():
        count = side + 2 * network.padding
        for kernel, stride, padding in path:
            count = (count + 2 * padding - kernel) // stride + 1
        counts[layer] = count - 2 * (network.padding // network.strides[layer])
    return counts


def _divide(part: Segment, counts: Mapping[str, int], tile: int) -> Iterator[dict[str, slice]]:
    """Yields {map: positions} of each tile along one axis. The positions of `end` include the padding."""
    side, grid = counts[IMAGE], max(part.strides.values())
    for piece in divide(side, grid * math.ceil(side / max(1, round(side / tile)) / grid)):
        first, last, found = piece.start == 0, piece.stop == side, {}
        for name in [IMAGE, *part.maps()] if part.start == IMAGE else part.maps():
            stride, ring = part.strides[name], part.ring(name)
            start = min(piece.start // stride, counts[name]) - ring * first
            found[name] = slice(start, counts[name] + ring if last else piece.stop // stride)
        yield {name: own for name, own in found.items() if own.start < own.stop}


def _window(part: Segment, counts: Sequence[Mapping[str, int]], positions: Mapping[str, Box]) -> Window:
    down, across = (
        _crop(part, own, {name: box[axis] for name, box in positions.items()})
        for axis, own in enumerate(counts)
    )
    rings = {name: part.ring(name) for name in part.strides}
    return Window(
        (down[0], across[0]),
        (*across[1], *down[1]),
        "reflect" if min(own[IMAGE] for own in counts) > part.padding else "replicate",
        {
            name: (shift(rows, rings[name]), shift(columns, rings[name]))
            for name, (rows, columns) in positions.items()
        },
        {name: (down[2][name], across[2][name]) for name in positions},
        {
            name: (counts[0][name] + 2 * rings[name], counts[1][name] + 2 * rings[name])
            for name in part.strides
        },
        part.start,
        part.end,
    )


def _crop(
    part: Segment, counts: Mapping[str, int], positions: Mapping[str, slice]
) -> tuple[slice, tuple[int, int], dict[str, slice]]:
    """Returns the crop along one axis, its padding, and the given positions within the crop's maps."""
    scale, side = part.strides[part.start], counts[part.start]
    margin, strides = part.padding // scale, {name: part.strides[name] // scale for name in positions}
    grid = max(strides.values())
    # counted from the start of the padding, and rounded outwards to multiples of the deepest stride
    low = min(own.start * strides[name] - part.fields[name][0] for name, own in positions.items())
    high = max((own.stop - 1) * strides[name] + part.fields[name][1] + 1 for name, own in positions.items())
    low, high = (low + margin) // grid * grid, -(-(high + margin) // grid) * grid
    if part.start != IMAGE:  # the map is stored with the padding
        low, high, padding = max(0, low), min(high, side + 2 * margin), (0, 0)
        crop = slice(low, high)
    else:
        if low < margin:
            low, high = 0, max(high, 2 * margin + grid)  # the crop must contain what is mirrored
        if high > side + margin:
            low, high = min(low, (side - 1) // grid * grid), side + 2 * margin
        low = 0 if low < margin else low
        crop = slice(max(0, low - margin), min(side, high - margin))
        padding = (margin if low == 0 else 0, margin if high == side + 2 * margin else 0)
    inside = {name: shift(own, (margin - low) // strides[name]) for name, own in positions.items()}
    if IMAGE in positions:  # the crop itself has no padding
        inside[IMAGE] = shift(positions[IMAGE], -crop.start)
    return crop, padding, inside
