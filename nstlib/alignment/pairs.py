"""Sums over all pairs of positions in bounded memory, for `mmd2`."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nstlib.alignment.kernels import Kernel
from nstlib.version import use_torch_defaults


def sum_pairs(kernel: Kernel, X: Tensor, Y: Tensor, chunk: int, distinct: bool = False) -> Tensor:
    """Returns Σ_ij k(x_i, y_j): (..., N, M), (..., N, M') → (...), for `chunk` positions of X at a time.

    distinct: whether to leave out the pairs i = j."""

    def block(X: Tensor, Y: Tensor, start: int) -> Tensor:
        K = kernel(X[..., start : start + chunk], Y)  # (..., chunk, M')
        return K.sum((-2, -1)) - (K.diagonal(start, -2, -1).sum(-1) if distinct else 0)

    starts = range(0, X.shape[-1], chunk)
    of_samples = torch.is_grad_enabled() and (X.requires_grad or Y.requires_grad)
    # if parameters of the kernel require gradients, autograd needs the whole graph
    if not of_samples or kernel(X[..., :1].detach(), Y[..., :1].detach()).requires_grad:
        return _sum_blocks(block, starts, X, Y)
    total: Tensor = _BlockSum.apply(block, starts, X, Y)  # type: ignore[no-untyped-call]
    return total


def _sum_blocks(block: Callable[..., Tensor], starts: Sequence[int], X: Tensor, Y: Tensor) -> Tensor:
    """Returns Σ block(X, Y, start). No small tensor is kept after its block, because it would fragment the
    memory for the next block. With torch.utils.checkpoint, the peak would grow by a matrix per block."""
    total = block(X, Y, starts[0])
    for start in starts[1:]:
        total = total + block(X, Y, start)
    return total


class _BlockSum(torch.autograd.Function):
    """Σ block(X, Y, start). The backward pass recomputes the blocks, so only one is in memory at a time."""

    @staticmethod
    def forward(
        ctx: Any, block: Callable[..., Tensor], starts: Sequence[int], X: Tensor, Y: Tensor
    ) -> Tensor:
        ctx.block, ctx.starts = block, starts
        ctx.save_for_backward(X, Y)
        return _sum_blocks(block, starts, X, Y)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        needed = [i for i in (0, 1) if ctx.needs_input_grad[2 + i]]
        found: list[Any] = [None, None]
        again = torch.is_grad_enabled()  # for second derivatives
        with use_torch_defaults(gradients=True):
            for start in ctx.starts:
                pair = [X.view_as(X) for X in ctx.saved_tensors]  # two variables, even if X is Y
                value = ctx.block(*pair, start)
                if not value.requires_grad:  # a piecewise constant kernel
                    continue
                slopes = torch.autograd.grad(
                    value, [pair[i] for i in needed], g, create_graph=again, materialize_grads=True
                )
                for i, slope in zip(needed, slopes, strict=True):
                    found[i] = slope if found[i] is None else found[i] + slope
        return None, None, *found
