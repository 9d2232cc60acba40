"""Optimisers for one tensor, one gradient an iteration: what `synthesize` steps with.

Each is a callable: gradient at x → the change to make to x. L-BFGS follows Nocedal and Wright,
*Numerical Optimization*, Algorithm 7.4, without a line search: a picture's loss is smooth enough that the
full quasi-Newton step nearly always goes down, and a search would double the cost of every iteration.
What a search would guard against, the loop guards against: steps are capped in length, and a step that
made the loss much worse is taken back (see `synthesize`).
"""

from collections import deque
from typing import Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    def __call__(self, gradient: Tensor) -> Tensor:
        """The change to add to x, given the gradient at x."""
        ...

    def rejected(self) -> None:
        """The last change was taken back: forget what it taught."""
        ...


class LBFGS:
    """Limited-memory BFGS. memory: curvature pairs kept. cap: longest step, root mean square
    over x; the first is 0.01 long. lr: factor on a full quasi-Newton step."""

    def __init__(self, memory: int = 20, cap: float = 0.1, lr: float = 1.0) -> None:
        self.cap, self.lr, self.first = cap, lr, 0.01
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=memory)  # s, y, 1 / sᵀy
        self.gradient: Tensor | None = None
        self.change: Tensor | None = None

    def __call__(self, gradient: Tensor) -> Tensor:
        g = gradient.flatten()
        if self.gradient is not None and self.change is not None:
            s, y = self.change, g - self.gradient
            curvature = s @ y
            if curvature > 1e-10 * (y @ y):  # keeps the Hessian's estimate positive definite
                self.pairs.append((s, y, 1 / curvature))
        direction = self._direction(g)
        length = direction.square().mean().sqrt()
        limit = self.cap if self.pairs else min(self.cap, self.first)  # no curvature yet to size it
        scale = torch.clamp(limit / length.clamp(min=1e-30), max=self.lr if self.pairs else float("inf"))
        self.gradient, self.change = g.clone(), direction * scale
        return self.change.view_as(gradient)

    def _direction(self, g: Tensor) -> Tensor:
        """−H g by the two-loop recursion, H the inverse Hessian that the pairs imply."""
        q, alphas = g.clone(), []
        for s, y, rho in reversed(self.pairs):
            alphas.append(rho * (s @ q))
            q -= alphas[-1] * y
        if self.pairs:
            s, y, rho = self.pairs[-1]
            q /= rho * (y @ y)
        for (s, y, rho), alpha in zip(self.pairs, reversed(alphas), strict=True):
            q += (alpha - rho * (y @ q)) * s
        return -q

    def rejected(self) -> None:
        self.pairs.clear()
        self.gradient = self.change = None
        self.cap, self.first = self.cap / 4, self.first / 4


class Adam:
    """Adam (Kingma and Ba 2015), lr in units of x a step, betas (0.9, 0.99)."""

    def __init__(self, lr: float = 0.02) -> None:
        self.lr, self.count = lr, 0
        self.mean = self.square = torch.zeros(())

    def __call__(self, gradient: Tensor) -> Tensor:
        self.count += 1
        self.mean = 0.9 * self.mean + 0.1 * gradient
        self.square = 0.99 * self.square + 0.01 * gradient.square()
        mean, square = self.mean / (1 - 0.9**self.count), self.square / (1 - 0.99**self.count)
        return -self.lr * mean / (square.sqrt() + 1e-12)

    def rejected(self) -> None:
        self.lr /= 2
