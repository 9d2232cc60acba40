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

from nstlib.networks import Network

Size = tuple[int, int]


def collect(
    network: Network, x: Tensor, layers: Sequence[str], checkpoint: bool = False
) -> dict[str, tuple[Tensor, Size]]:
    """{layer: (F (B, N_l, M_l) float32, (H_l, W_l))} for a normalised, padded picture x (B, 3, H, W).

    Stages after the deepest of `layers` are not run. x must be channels last.
    """
    sizes: dict[str, Size] = {}

    def run(x: Tensor, segment: Sequence[str]) -> tuple[Tensor, ...]:
        tapped, shared = [], True  # shared: someone else still needs x as it is
        for name in segment:
            stage = network.stages[name]
            x = Rectify.apply(x) if isinstance(stage, nn.ReLU) and not shared else stage(x)  # type: ignore[no-untyped-call]
            if shared := name in layers:
                ring = network.margin // network.strides[name]
                sizes[name] = (x.shape[2] - 2 * ring, x.shape[3] - 2 * ring)
                x, F = Tap.apply(x, ring)  # type: ignore[no-untyped-call]
                tapped.append(F)
        return x, *tapped

    result: dict[str, Tensor] = {}
    for segment in _segments(network, layers):
        if checkpoint and x.requires_grad:
            x, *tapped = rerun_in_backward(run, x, segment, use_reentrant=False)
        else:
            x, *tapped = run(x, segment)
        result |= zip([name for name in segment if name in layers], tapped, strict=True)
    return {layer: (result[layer], sizes[layer]) for layer in layers}


def _segments(network: Network, layers: Sequence[str]) -> Iterator[list[str]]:
    """The stages up to the deepest of `layers`, in runs of one resolution."""
    names = list(network.stages)
    names = names[: 1 + max((names.index(layer) for layer in layers), default=-1)]
    for stride in dict.fromkeys(network.strides[name] for name in names):
        yield [name for name in names if network.strides[name] == stride]


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
        F = _inside(x, ring).permute(0, 2, 3, 1).flatten(1, 2)  # (B, M, N)
        return x, (F if F.data_ptr() != x.data_ptr() else F.clone()).float().mT

    @staticmethod
    def backward(ctx: Any, gx: Tensor | None, gF: Tensor | None) -> tuple[Tensor | None, None]:
        if gF is None:
            return gx, None
        if gx is None:
            gx = torch.zeros(ctx.shape, dtype=ctx.dtype, device=gF.device)
            gx = gx.contiguous(memory_format=torch.channels_last)
        inner = _inside(gx, ctx.ring)
        inner += gF.reshape(inner.shape)
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
