"""Optimisers for one tensor with one gradient per iteration, as `synthesize` uses them.

Each optimiser is called with x and the gradient at x, and returns the change of x. The caller may apply only
a part of the change, because the loop keeps images in [0, 1]. L-BFGS follows Nocedal and Wright, *Numerical
Optimization*, Algorithm 7.4, but without a line search. The loss of an image is so smooth that the full
quasi-Newton step nearly always decreases it, and a search would double the cost of every iteration. Instead,
the length of steps is limited, and the loop undoes a step that increases the loss much.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    def __call__(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Returns the change to add to x, given the gradient at x."""
        ...

    def rejected(self) -> None:
        """Shortens the next changes, because the last one was undone."""
        ...


class LBFGS:
    """Limited-memory BFGS.

    A direction is a linear combination of the pairs (s, y) and the gradient g. So the recursion needs only
    coefficients and the inner products of these vectors (Chen, Wang and Zhou 2014). It reads the vectors
    twice per iteration, whatever the number of pairs is.

    Args:
        memory: Number of curvature pairs.
        cap: Largest root mean square of a step. The first step is at most 0.01.
        lr: Factor on a full quasi-Newton step.
        preconditioner: Function that multiplies a tensor like x by a symmetric P > 0. The recursion starts
            from P instead of the identity.
        dtype: dtype of the stored vectors. bfloat16 halves their memory. Sums stay in float32.
    """

    BLOCK = 1 << 20

    def __init__(
        self,
        memory: int = 8,
        cap: float = 0.1,
        lr: float = 1.0,
        preconditioner: Callable[[Tensor], Tensor] | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.memory, self.cap, self.lr, self.first = memory, cap, lr, 0.01
        self.precondition = preconditioner or (lambda gradient: gradient)
        self.slots: deque[int] = deque()  # places of the pairs in `vectors`, oldest first
        self.vectors: Tensor | None = None  # (2 memory + 1, pixels): every s, every y, the last gradient
        # vᵢᵀvⱼ, and vᵢᵀP vⱼ where both are gradients or their differences
        self.products = torch.zeros(2 * memory + 1, 2 * memory + 1, dtype=torch.float64)
        self.x: Tensor | None = None  # where the last gradient was taken
        self.g: Any = None  # that gradient
        self.Pg: Any = None  # P times it
        self.dtype = dtype

    def __call__(self, x: Tensor, gradient: Tensor) -> Tensor:
        m, g = self.memory, gradient.flatten()
        if self.vectors is None:
            self.vectors = gradient.new_zeros(2 * m + 1, len(g), dtype=self.dtype)
        new = [-1]
        if self.x is not None:
            free = set(range(m)) - set(self.slots)
            slot = min(free) if free else self.slots.popleft()
            new += [slot, m + slot]
            for block, V in self._blocks():  # without a temporary of the image's size, even if dtypes differ
                torch.sub(x.flatten()[block], self.x.flatten()[block], out=V[slot])
                torch.sub(g[block], self.g[block], out=V[m + slot])
        self.vectors[-1] = g
        self.x, self.g = x, g  # frees the previous ones before P g needs memory
        Pg = self.precondition(gradient).flatten()
        rows = torch.zeros(len(new), 2 * m + 1, dtype=torch.float64)
        for block, stored in self._blocks():
            V, metric = stored.to(g.dtype), {-1: Pg[block]}  # P times the new vectors that are gradients
            if len(new) > 1:
                metric[m + slot] = Pg[block] - self.Pg[block]
            products = [torch.cat([V[:m] @ V[i], V[m:] @ metric.get(i, V[i])]) for i in new]
            rows += torch.stack(products).cpu().double()
        self.Pg = Pg
        self.products[new], self.products[:, new] = rows, rows.mT
        if len(new) > 1:
            curvature, size = self.products[[slot, m + slot], m + slot]
            if curvature > 1e-10 * size:  # otherwise the Hessian estimate would not stay positive definite
                self.slots.append(slot)
        c = self._direction().to(g)
        direction = torch.empty_like(g)
        for block, V in self._blocks():
            direction[block] = c[m:] @ V[m:].to(g.dtype)
        direction = self.precondition(direction.view_as(gradient)).flatten()
        for block, V in self._blocks():
            direction[block] += c[:m] @ V[:m].to(g.dtype)
        length = direction.square().mean().sqrt()
        limit = self.cap if self.slots else min(self.cap, self.first)  # no curvature known yet
        scale = torch.clamp(limit / length.clamp(min=1e-30), max=self.lr if self.slots else float("inf"))
        return direction.mul_(scale).view_as(gradient)

    def _blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yields the vectors block by block, or as one block if they need no conversion."""
        assert self.vectors is not None
        step = self.vectors.shape[1] if self.dtype is None else self.BLOCK
        for start in range(0, self.vectors.shape[1], step):
            block = slice(start, start + step)
            yield block, self.vectors[:, block]

    def _direction(self) -> Tensor:
        """Returns the coefficients of −H g by the two-loop recursion; H estimates the inverse Hessian."""
        P, m = self.products, self.memory
        q, alphas = torch.zeros(len(P), dtype=P.dtype), []
        q[-1] = 1
        for s in reversed(self.slots):
            alphas.append(P[s] @ q / P[s, m + s])
            q[m + s] -= alphas[-1]
        if self.slots:
            s = self.slots[-1]
            q *= P[s, m + s] / P[m + s, m + s]
        for s, alpha in zip(self.slots, reversed(alphas), strict=True):
            q[s] += alpha - P[m + s] @ q / P[s, m + s]
        return -q

    def rejected(self) -> None:
        self.slots.clear()
        self.x = None
        self.cap, self.first = self.cap / 4, self.first / 4


class Adam:
    """Adam (Kingma and Ba 2015) with betas (0.9, 0.99). lr is in units of x per step."""

    def __init__(self, lr: float = 0.02) -> None:
        self.lr, self.count = lr, 0
        self.mean: Tensor | float = 0.0
        self.square: Tensor | float = 0.0

    def __call__(self, x: Tensor, gradient: Tensor) -> Tensor:
        self.count += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.99 * self.square + 0.01 * gradient.square()
        mean, square = self.mean / (1 - 0.9**self.count), self.square / (1 - 0.99**self.count)
        return -self.lr * mean / (square.sqrt() + 1e-12)

    def rejected(self) -> None:
        self.lr /= 2
