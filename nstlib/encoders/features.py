"""One pass through a network, which reads the features off its maps with little memory and memory traffic.

    x ─► stage ─► stage ─┬─► stage ─► …          a tap: F, the positions inside the padding, as (B, N, M)
                         └─► F

With checkpointing, only the maps between segments (the stages of one resolution) are stored for the backward
pass, which runs each segment a second time: about half the memory for a third more time.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as rerun_in_backward

from nstlib.encoders.networks import Network

Size = tuple[int, int]
Taps = dict[str, tuple[Tensor, Size]]
NOTHING = (torch.empty(0, dtype=torch.float32, device="cpu"), (0, 0))


def collect(network: Network, x: Tensor, layers: Sequence[str], checkpoint: bool = False) -> Taps:
    """Return {layer: (F (B, N_l, M_l) float32, (H_l, W_l))} for a normalised, padded image x (B, 3, H, W).

    x must be channels last. Stages after the deepest of `layers` are not run.
    """
    found: Taps = {}
    for segment in segments(network, layers):
        if checkpoint and x.requires_grad:
            tapped: Taps = {}  # the second run, in backward, needs no features
            x = rerun_in_backward(
                lambda x, segment=segment, tapped=tapped: run(network, x, segment, layers, tapped),
                x,
                use_reentrant=False,
                preserve_rng_state=False,  # nothing is drawn
            )
            found |= tapped
            tapped.update(dict.fromkeys(tapped, NOTHING))  # the graph holds it: no circle of references
        else:
            x = run(network, x, segment, layers, found)
    return {layer: found[layer] for layer in layers}


def segments(network: Network, layers: Sequence[str]) -> Iterator[list[str]]:
    """Yield the stages up to the deepest of `layers` in groups of one resolution."""
    names = list(network.stages)
    names = names[: 1 + max((names.index(layer) for layer in layers), default=-1)]
    for i in range(len(names) - 1):
        stage, after = (network.stages[name] for name in names[i : i + 2])
        if isinstance(stage, nn.ReLU) and isinstance(after, nn.MaxPool2d) and names[i] not in layers:
            names[i : i + 2] = names[i + 1], names[i]  # they commute, and the ReLU then has a quarter to do
    segment: list[str] = []
    for name in names:
        if segment and network.strides[name] > max(network.strides[before] for before in segment):
            yield segment
            segment = []
        segment.append(name)
    if segment:
        yield segment


def run(network: Network, x: Tensor, segment: Sequence[str], layers: Sequence[str], found: Taps) -> Tensor:
    """Return x after the stages of one segment, and add the features to `found` that are not there yet."""
    shared = True  # whether x is needed elsewhere, and must not change
    for name in segment:
        stage = network.stages[name]
        x = x.relu_() if isinstance(stage, nn.ReLU) and not shared else stage(x)
        shared = name in layers
        if shared and name not in found:
            padding = network.padding // network.strides[name]
            size = (x.shape[2] - 2 * padding, x.shape[3] - 2 * padding)
            x, F = Tap.apply(x, padding)  # type: ignore[no-untyped-call]
            found[name] = (F, size)
    return x


class Tap(torch.autograd.Function):
    """Read features off a map that the network goes on with: x → x, F.

    x is (B, N, H, W), channels last, and F (B, N, M) float32: the positions of x without `padding` rows and
    columns at each border. Backward adds F's gradient to x's own in place. At the first layers every pass
    over a map counts, and autograd would make three (pad with zeros, copy, add).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, padding: int) -> tuple[Tensor, Tensor]:
        ctx.padding, ctx.shape, ctx.dtype = padding, x.shape, x.dtype
        ctx.set_materialize_grads(False)
        F = _inside(x, padding).permute(0, 2, 3, 1).float().flatten(1, 2)  # (B, M, N)
        return x, F.mT

    @staticmethod
    def backward(ctx: Any, gx: Tensor | None, gF: Tensor | None) -> tuple[Tensor | None, None]:
        if gF is None:
            return gx, None
        if gx is None:
            gx = torch.zeros(ctx.shape, dtype=ctx.dtype, device=gF.device)
        gx = gx.contiguous(memory_format=torch.channels_last)
        inner = _inside(gx, ctx.padding).permute(0, 2, 3, 1)  # (B, H, W, N)
        width, rows = inner.shape[2], inner.view(*inner.shape[:2], -1)
        if gF.stride(2) == 0:  # the gradient of a mean is the same at all positions: one row is enough
            gF = gF[..., :width]
        rows += gF.to(rows.dtype).mT.reshape(len(rows), -1, rows.shape[2])
        return gx, None


def _inside(x: Tensor, padding: int) -> Tensor:
    return x[..., padding : x.shape[-2] - padding, padding : x.shape[-1] - padding]
