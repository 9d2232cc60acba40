"""Windows: pieces of an image whose features are exactly those of the whole image.

A position k of a layer of stride s sees the pixels k s − before … k s + after, its receptive field. A window
holds the positions of one tile of the image at every layer, and is computed from a crop that contains all
their receptive fields. The crop starts at a multiple of the deepest stride, so that pooling divides it as it
divides the image, and is padded only where it touches the image's border, as the image is.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from torch import Tensor, nn

from nstlib.encoders.networks import Network

IMAGE = "image"  # a layer of stride 1: the pixels themselves, with one more on each side for differences
Box = tuple[slice, slice]


@dataclass(frozen=True)
class Window:
    """One tile.

    crop: The rows and columns of the image that it is computed from. padding, mode: As for torch's `pad`.
    positions: {layer: its rows and columns in the whole image's map}, `IMAGE` included. inside: The same in
    the crop's map. sizes: (H_l, W_l) of the whole image's maps.
    """

    crop: Box
    padding: tuple[int, int, int, int]
    mode: str
    positions: dict[str, Box]
    inside: dict[str, Box]
    sizes: dict[str, tuple[int, int]]

    def cut(self, image: Tensor) -> Tensor:
        """Returns the crop of an image (..., H, W)."""
        return image[(..., *self.crop)]

    def select(self, values: Tensor, layer: str) -> Tensor:
        """Returns the window's part of values at the positions of a layer: (..., M_l) → (..., M)."""
        maps = values.view(*values.shape[:-1], *self.sizes[layer])
        return maps[(..., *self.positions[layer])].flatten(-2)

    def share(self, layer: str) -> float:
        """Returns which share of the layer's positions lies here."""
        (rows, columns), (height, width) = self.positions[layer], self.sizes[layer]
        return float((rows.stop - rows.start) * (columns.stop - columns.start) / (height * width))


def receptive_fields(network: Network, layers: Iterable[str]) -> dict[str, list[tuple[int, int, int]]]:
    """Returns {layer: [(kernel, stride, padding), …]}: what lies on the way to each layer."""
    wanted, found, path = set(layers), {}, []
    for name, stage in network.stages.items():
        for part, module in stage.named_modules():  # a shortcut sees less than what it bypasses
            if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) and "downsample" not in part:
                sides = (module.kernel_size, module.stride, module.padding)
                path.append(tuple(side[0] if isinstance(side, tuple) else int(side) for side in sides))
        if name in wanted:
            found[name] = list(path)
    return found  # type: ignore[return-value]


def reach(path: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Returns (before, after): how many pixels a position sees on each side of its own."""
    before = after = 0
    scale = 1
    for kernel, stride, padding in path:
        before, after, scale = (
            before + padding * scale,
            after + (kernel - 1 - padding) * scale,
            scale * stride,
        )
    return before, after


def make_windows(network: Network, size: Sequence[int], layers: Iterable[str], tile: int) -> list[Window]:
    """Returns the windows that divide an image of `size` (H, W) into tiles of about `tile` px a side."""
    paths = receptive_fields(network, layers)
    strides = _strides(network, paths)
    counts = [_counts(network, side, paths) for side in size]
    grid = max(strides.values())

    def divide(side: int, counts: dict[str, int]) -> Iterator[dict[str, slice]]:
        step = grid * math.ceil(side / max(1, round(side / tile)) / grid)
        for start, stop in pairwise([*range(0, side, step), side]):
            parts = {
                layer: slice(min(start // s, counts[layer]), counts[layer] if stop == side else stop // s)
                for layer, s in strides.items()
            }
            yield {layer: part for layer, part in parts.items() if part.start < part.stop}

    return [
        _window(
            network,
            size,
            paths,
            counts,
            {layer: (down[layer], across[layer]) for layer in down if layer in across},
        )
        for down, across in product(*map(divide, size, counts))
    ]


def make_window(network: Network, size: Sequence[int], positions: Mapping[str, Box]) -> Window:
    """Returns the window for {layer: rows and columns} of the maps of an image of `size` (H, W)."""
    paths = receptive_fields(network, positions)
    return _window(network, size, paths, [_counts(network, side, paths) for side in size], positions)


def _window(
    network: Network,
    size: Sequence[int],
    paths: dict[str, list[tuple[int, int, int]]],
    counts: Sequence[dict[str, int]],
    positions: Mapping[str, Box],
) -> Window:
    down, across = (
        _crop(network, side, paths, {layer: box[axis] for layer, box in positions.items()})
        for axis, side in enumerate(size)
    )
    return Window(
        (down[0], across[0]),
        (*across[1], *down[1]),
        "reflect" if min(size) > network.padding else "replicate",
        dict(positions),
        {layer: (down[2][layer], across[2][layer]) for layer in positions},
        {layer: (counts[0][layer], counts[1][layer]) for layer in counts[0]},
    )


def _strides(network: Network, paths: Iterable[str]) -> dict[str, int]:
    return {IMAGE: 1} | {layer: network.strides[layer] for layer in paths}


def _counts(network: Network, side: int, paths: dict[str, list[tuple[int, int, int]]]) -> dict[str, int]:
    """Returns how many positions each layer has along a side of the image."""
    counts = {IMAGE: side}
    for layer, path in paths.items():
        count = side + 2 * network.padding
        for kernel, stride, padding in path:
            count = (count + 2 * padding - kernel) // stride + 1
        counts[layer] = count - 2 * (network.padding // network.strides[layer])
    return counts


def _crop(
    network: Network,
    side: int,
    paths: dict[str, list[tuple[int, int, int]]],
    positions: Mapping[str, slice],
) -> tuple[slice, tuple[int, int], dict[str, slice]]:
    """Returns the crop of an axis for some positions, its padding, and the positions in its own maps."""
    margin, strides = network.padding, _strides(network, paths)
    fields = {IMAGE: (1, 1)} | {layer: reach(path) for layer, path in paths.items()}
    grid = max(strides.values())
    # in the padded image, whose first pixel is a multiple of every stride away from the image's
    low = min(part.start * strides[layer] - fields[layer][0] for layer, part in positions.items())
    high = max((part.stop - 1) * strides[layer] + fields[layer][1] + 1 for layer, part in positions.items())
    low, high = (low + margin) // grid * grid, -(-(high + margin) // grid) * grid
    if low < margin:
        low, high = 0, max(high, 2 * margin + grid)  # what is mirrored there must be in the crop
    if high > side + margin:
        low, high = min(low, (side - 1) // grid * grid), side + 2 * margin
    low = 0 if low < margin else low
    crop = slice(max(0, low - margin), min(side, high - margin))
    inside = {
        layer: slice(*(place + (margin - low) // strides[layer] for place in (part.start, part.stop)))
        for layer, part in positions.items()
    }
    if IMAGE in positions:  # the crop itself has no padding
        inside[IMAGE] = slice(*(n - crop.start for n in (positions[IMAGE].start, positions[IMAGE].stop)))
    return crop, (margin if low == 0 else 0, margin if high == side + 2 * margin else 0), inside
