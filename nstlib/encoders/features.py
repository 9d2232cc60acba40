"""Runs a network once and collects the features of some layers, with little memory and memory traffic.

x ─► stage ─► stage ─┬─► stage ─► …          a tap: F (B, N, M) is the map without its padding
                     └─► F
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from nstlib.encoders.networks import Network
from nstlib.encoders.windows import IMAGE, Window

Taps = dict[str, tuple[Tensor, tuple[int, int]]]


def collect(
    network: Network, x: Tensor, layers: Sequence[str], window: Window | None, dtype: torch.dtype
) -> Taps:
    """Returns {layer: (F (B, N_l, M_l), (H_l, W_l))} for a normalised, padded image x (B, 3, H, W).

    x must be channels last. Stages after the deepest of `layers` are not run. window: The window, if x is its
    crop of the image or of the map of `window.start`. dtype: The dtype of F.
    """
    found: Taps = {}
    shared = True  # whether x is used elsewhere, so that it must not change
    for name, stage in order(network, layers, window.start if window else IMAGE):
        x = x.relu_() if isinstance(stage, nn.ReLU) and not shared else stage(x)
        shared = name in layers
        if shared:
            ring = network.padding // network.strides[name]
            rows, columns = window.inside[name] if window else (slice(ring, n - ring) for n in x.shape[2:])
            x, F = Tap.apply(x, rows, columns, dtype)  # type: ignore[no-untyped-call]
            found[name] = (F, (rows.stop - rows.start, columns.stop - columns.start))
    return {layer: found[layer] for layer in layers}


def order(network: Network, layers: Sequence[str], start: str) -> list[tuple[str, nn.Module]]:
    """Returns the stages after `start` up to the deepest of `layers`, each with the name of its output."""
    names = [IMAGE, *network.stages]
    names = names[1 + names.index(start) : 1 + max(map(names.index, layers), default=0)]
    stages = [network.stages[name] for name in names]
    for i, (stage, after) in enumerate(pairwise(stages)):
        if isinstance(stage, nn.ReLU) and isinstance(after, nn.MaxPool2d) and names[i] not in layers:
            stages[i : i + 2] = after, stage  # they commute, and the ReLU of a pooled map is cheaper
    return list(zip(names, stages, strict=True))


class Tap(torch.autograd.Function):
    """Copies features F from a map x. Returns x, with which the network continues, and F.

    x is (B, N, H, W), channels last. F (B, N, M), of `dtype`, is x at these rows and columns. Backward adds
    the gradient of F to that of x in place. Autograd would pass over the map three times (pad, copy, add).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: slice, columns: slice, dtype: torch.dtype) -> Any:
        ctx.box, ctx.shape, ctx.dtype = (..., rows, columns), x.shape, x.dtype
        ctx.set_materialize_grads(False)
        return x, x[ctx.box].permute(0, 2, 3, 1).to(dtype).flatten(1, 2).mT

    @staticmethod
    def backward(ctx: Any, gx: Tensor | None, gF: Tensor | None) -> Any:
        if gF is None:
            return gx, None, None, None
        gx = gF.new_zeros(ctx.shape, dtype=ctx.dtype) if gx is None else gx
        gx = gx.contiguous(memory_format=torch.channels_last)
        inner = gx[ctx.box].permute(0, 2, 3, 1)  # (B, H, W, N)
        width, rows = inner.shape[2], inner.view(*inner.shape[:2], -1)
        if gF.stride(2) == 0:  # the gradient of a mean is equal at all positions: one row is enough
            gF = gF[..., :width]
        rows += gF.to(rows.dtype).mT.reshape(len(rows), -1, rows.shape[2])
        return gx, None, None, None
