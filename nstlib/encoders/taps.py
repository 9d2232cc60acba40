"""The pass through a network: which maps are read off, and how little memory and traffic that costs.

    x ─► stage ─► stage ─┬─► stage ─► …          a tap: F, the positions inside the ring, as (B, N, M)
                         └─► F

With checkpointing only the maps between segments are kept for the backward pass, and each segment (the
stages of one resolution) is run a second time when its gradient is due: about half the memory, a third
more time.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint as rerun_in_backward

from nstlib.encoders.networks import Network

Size = tuple[int, int]
Taps = dict[str, tuple[Tensor, Size]]
NOTHING = (torch.empty(0, dtype=torch.float32, device="cpu"), (0, 0))


def collect(network: Network, x: Tensor, layers: Sequence[str], checkpoint: bool = False) -> Taps:
    """{layer: (F (B, N_l, M_l) float32, (H_l, W_l))} for a normalised, padded picture x (B, 3, H, W).

    Stages after the deepest of `layers` are not run. x must be channels last.
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
    """The stages up to the deepest of `layers`, in runs of one resolution."""
    names = list(network.stages)
    names = names[: 1 + max((names.index(layer) for layer in layers), default=-1)]
    for i in range(len(names) - 1):
        stage, after = (network.stages[name] for name in names[i : i + 2])
        if isinstance(stage, nn.ReLU) and isinstance(after, nn.MaxPool2d) and names[i] not in layers:
            names[i : i + 2] = names[i + 1], names[i]  # they commute, and a quarter is left to rectify
    segment: list[str] = []
    for name in names:
        if segment and network.strides[name] > max(network.strides[before] for before in segment):
            yield segment
            segment = []
        segment.append(name)
    if segment:
        yield segment


def run(network: Network, x: Tensor, segment: Sequence[str], layers: Sequence[str], found: Taps) -> Tensor:
    """x after the stages of one segment. What is tapped goes into `found`, if it is not there."""
    shared = True  # someone else still needs x as it is
    for name in segment:
        stage = network.stages[name]
        in_place = isinstance(stage, nn.ReLU) and not shared
        x = Rectify.apply(x) if in_place else stage(x)  # type: ignore[no-untyped-call]
        shared = name in layers
        if shared and name not in found:
            ring = network.margin // network.strides[name]
            size = (x.shape[2] - 2 * ring, x.shape[3] - 2 * ring)
            x, F = Tap.apply(x, ring)  # type: ignore[no-untyped-call]
            found[name] = (F, size)
    return x


class Tap(torch.autograd.Function):
    """Reads features off a map that the network goes on with: x → x, F.

    x: (B, N, H, W), channels last. F: (B, N, M) float32, the positions of x without `ring` rows and columns
    at each border. Backward adds F's gradient to x's own in place: at the first layers every pass over
    a map counts, and autograd would make three (pad with zeros, copy, add).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, ring: int) -> tuple[Tensor, Tensor]:
        ctx.ring, ctx.shape, ctx.dtype = ring, x.shape, x.dtype
        ctx.set_materialize_grads(False)
        F = _inside(x, ring).permute(0, 2, 3, 1).float().flatten(1, 2)  # (B, M, N)
        return x, F.mT

    @staticmethod
    def backward(ctx: Any, gx: Tensor | None, gF: Tensor | None) -> tuple[Tensor | None, None]:
        if gF is None:
            return gx, None
        if gx is None:
            gx = torch.zeros(ctx.shape, dtype=ctx.dtype, device=gF.device)
        gx = gx.contiguous(memory_format=torch.channels_last)
        inner = _inside(gx, ctx.ring).permute(0, 2, 3, 1)  # (B, H, W, N)
        width, rows = inner.shape[2], inner.view(*inner.shape[:2], -1)
        if gF.stride(2) == 0:  # a mean's: the same at all positions, so one row of them will do
            gF = gF[..., :width]
        rows += gF.to(rows.dtype).mT.reshape(len(rows), -1, rows.shape[2])
        return gx, None


class Rectify(torch.autograd.Function):
    """ReLU in place, its gradient too: max(x, 0), and g where that is positive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x.relu_()
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        masked: Tensor = torch.ops.aten.threshold_backward.grad_input(g, y, 0, grad_input=g)
        return masked


def _inside(x: Tensor, ring: int) -> Tensor:
    return x[..., ring : x.shape[-2] - ring, ring : x.shape[-1] - ring]
