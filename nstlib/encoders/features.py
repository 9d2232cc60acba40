"""One pass through a network, which reads the features off its maps with little memory and memory traffic.

x ─► stage ─► stage ─┬─► stage ─► …          a tap: F, the positions inside the padding, as (B, N, M)
                     └─► F
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from nstlib.encoders.boxes import Box
from nstlib.encoders.networks import Network
from nstlib.encoders.windows import IMAGE

Size = tuple[int, int]
Taps = dict[str, tuple[Tensor, Size]]


def collect(
    network: Network,
    x: Tensor,
    layers: Sequence[str],
    inside: Mapping[str, Box] | None = None,
    start: str = IMAGE,
    dtype: torch.dtype = torch.float32,
) -> Taps:
    """Returns {layer: (F (B, N_l, M_l), (H_l, W_l))} for a normalised, padded image x (B, 3, H, W).

    x must be channels last. Stages after the deepest of `layers` are not run. inside: The rows and columns to
    read off each map; by default those inside the network's padding. start: The stage whose map x is, or
    `IMAGE`. dtype: That of F.
    """
    found: Taps = {}
    shared = True  # whether x is needed elsewhere, and must not change
    for name, stage in order(network, layers, start):
        x = x.relu_() if isinstance(stage, nn.ReLU) and not shared else stage(x)
        shared = name in layers
        if shared:
            ring = network.padding // network.strides[name]
            rows, columns = inside[name] if inside else (slice(ring, side - ring) for side in x.shape[2:])
            x, F = Tap.apply(x, rows, columns, dtype)  # type: ignore[no-untyped-call]
            found[name] = (F, (rows.stop - rows.start, columns.stop - columns.start))
    return {layer: found[layer] for layer in layers}


def order(network: Network, layers: Sequence[str], start: str = IMAGE) -> list[tuple[str, nn.Module]]:
    """Returns what to run from `start` to the deepest of `layers`, with the names of the maps after it."""
    names = list(network.stages)
    first = 0 if start == IMAGE else 1 + names.index(start)
    names = names[first : 1 + max((names.index(layer) for layer in layers), default=-1)]
    stages = [network.stages[name] for name in names]
    for i, (stage, after) in enumerate(pairwise(stages)):
        if isinstance(stage, nn.ReLU) and isinstance(after, nn.MaxPool2d) and names[i] not in layers:
            stages[i : i + 2] = after, stage  # they commute; after pooling, the ReLU has a quarter to do
    return list(zip(names, stages, strict=True))


class Tap(torch.autograd.Function):
    """Read features off a map that the network goes on with: x → x, F.

    x is (B, N, H, W), channels last, and F (B, N, M), of a dtype of its own, the positions of x in these rows
    and columns. Backward adds F's gradient to x's own in place. At the first layers every pass over a map
    counts, and autograd would make three (pad with zeros, copy, add).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, rows: slice, columns: slice, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        ctx.box, ctx.shape, ctx.dtype = (..., rows, columns), x.shape, x.dtype
        ctx.set_materialize_grads(False)
        F = x[ctx.box].permute(0, 2, 3, 1).to(dtype).flatten(1, 2)  # (B, M, N)
        return x, F.mT

    @staticmethod
    def backward(ctx: Any, gx: Tensor | None, gF: Tensor | None) -> tuple[Tensor | None, None, None, None]:
        if gF is None:
            return gx, None, None, None
        if gx is None:
            gx = torch.zeros(ctx.shape, dtype=ctx.dtype, device=gF.device)
        gx = gx.contiguous(memory_format=torch.channels_last)
        inner = gx[ctx.box].permute(0, 2, 3, 1)  # (B, H, W, N)
        width, rows = inner.shape[2], inner.view(*inner.shape[:2], -1)
        if gF.stride(2) == 0:  # the gradient of a mean is the same at all positions: one row is enough
            gF = gF[..., :width]
        rows += gF.to(rows.dtype).mT.reshape(len(rows), -1, rows.shape[2])
        return gx, None, None, None
