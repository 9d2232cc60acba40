"""Applies a network for one style in tiles. Its instance norms use the mean and the variance of whole maps.

For each norm in turn, a sweep over the tiles computes its mean and variance; those of earlier norms are known
by then. A last sweep makes the image. A tile is computed from a crop that contains its receptive field.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from nstlib.encoders.boxes import Box, shrink, tiles, widen, within
from nstlib.synthesis.colours import strips

STRIDE = 4  # of the residual blocks; the sides of an image are padded to a multiple of it
EPSILON = 1e-5  # default ε of torch's group norm
Make = Callable[[Any, Tensor], Tensor]  # network, image with normalised colours → image


class _Reached(Exception):
    """Ends a forward pass at the first norm without statistics. `x` is the input of this norm."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.x = x


class _Norm(nn.Module):
    """A norm that uses the mean and the variance of whole maps instead of those of its input."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm
        self.mean: Tensor | None = None
        self.variance: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.mean is None:
            raise _Reached(x)
        weight, bias = self.norm.weight, self.norm.bias
        return nn.functional.batch_norm(x, self.mean, self.variance, weight, bias, eps=self.norm.eps)


def apply_in_tiles(network: nn.Module, make: Make, x: Tensor, tile: int) -> Tensor:
    """Returns make(network, group_norm(x, 3)) for images x (B, 3, H, W). H and W are multiples of `STRIDE`.

    tile: side of the tiles in pixels, a multiple of `STRIDE`.
    """
    result = torch.empty_like(x)
    for k in range(len(x)):
        _apply(copy.deepcopy(network), make, x[k : k + 1], tile, result[k : k + 1])
    return result


def _apply(network: nn.Module, make: Make, x: Tensor, tile: int, result: Tensor) -> None:
    norms = []
    for layer in list(network.modules()):
        if isinstance(norm := getattr(layer, "norm", None), nn.BatchNorm2d):
            norms.append(_Norm(norm))
            layer.norm = norms[-1]
    halo = _reach(network, make, norms)
    mean, variance = _moments(part for (part,) in strips(x))
    size = x.shape[2:]

    def crops() -> Iterator[tuple[Box, Box, Tensor]]:
        for box in tiles(size, tile):
            crop = widen(box, halo, size)
            z = nn.functional.batch_norm(x[(..., *crop)], mean, variance, eps=EPSILON)
            yield box, within(box, crop), z.contiguous(memory_format=torch.channels_last)

    def seen() -> Iterator[Tensor]:
        for _, inside, z in crops():
            try:
                make(network, z)
            except _Reached as reached:
                yield reached.x[(..., *shrink(inside, z.shape[3] // reached.x.shape[3]))]

    for norm in norms:
        norm.mean, norm.variance = _moments(seen())
    for box, inside, z in crops():
        result[(..., *box)] = make(network, z)[(..., *inside)]


def _moments(parts: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Returns the mean (N,) and the variance (N,) over the positions of all `parts` (1, N, h, w)."""
    count, sums = 0, torch.zeros(2, 1, dtype=torch.float64)
    for x in parts:
        F = x.flatten(2)[0].cpu().double()  # some devices have no float64
        count, sums = count + F.shape[1], sums + torch.stack([F.sum(1), F.square().sum(1)])
    mean, square = sums / count
    return mean.to(x), (square - mean * mean).clamp(min=0).to(x)


def _reach(network: nn.Module, make: Make, norms: list[_Norm]) -> int:
    """Returns a multiple of `STRIDE` that is larger than the radius of a pixel's receptive field."""
    side, reach = 64, 0.0

    def add(conv: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal reach
        reach += (max(conv.kernel_size) - 1) // 2 * side / inputs[0].shape[3]  # type: ignore[arg-type]

    hooks = [part.register_forward_pre_hook(add) for part in network.modules() if isinstance(part, nn.Conv2d)]
    weight = next(network.parameters())
    for norm in norms:
        count = norm.norm.num_features
        norm.mean, norm.variance = weight.new_zeros(count), weight.new_ones(count)
    make(network, weight.new_zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    for norm in norms:
        norm.mean = norm.variance = None
    return STRIDE * (int(reach) // STRIDE + 4)  # a margin for bilinear upsampling
