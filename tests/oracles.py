"""Independent oracles: sums over pairs, written as the definitions read, in plain Python loops."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Vector = Sequence[float]


def dot(x: Vector, y: Vector) -> float:
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def columns(F: Tensor) -> list[list[float]]:
    """The positions of F (N, M) as M lists of N numbers."""
    return F.T.tolist()


def mmd2_loops(k: Callable[[Vector, Vector], float], F: Tensor, S: Tensor, unbiased: bool = False) -> float:
    """MMD² by three double loops over positions."""
    fs, ss = columns(F), columns(S)

    def within(xs: list[list[float]]) -> float:
        pairs = [k(x, y) for i, x in enumerate(xs) for j, y in enumerate(xs) if not (unbiased and i == j)]
        return math.fsum(pairs) / len(pairs)

    cross = math.fsum(k(x, y) for x in fs for y in ss) / (len(fs) * len(ss))
    return within(fs) + within(ss) - 2 * cross


def gaussian_loop(sigma: float) -> Callable[[Vector, Vector], float]:
    return lambda x, y: math.exp(-sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / (2 * sigma**2))


def polynomial_loop(c: float, d: int = 2) -> Callable[[Vector, Vector], float]:
    return lambda x, y: (dot(x, y) + c) ** d


def features(N: int, M: int, seed: int = 0, shift: float = 0.0) -> Tensor:
    """Random float64 features (N, M), not centred, as after a ReLU that lets some negatives through."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(N, M, generator=generator, dtype=torch.float64) * 0.7 + 0.3 + shift


def numeric_gradient(f: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-6) -> Tensor:
    """Central differences, one entry at a time."""
    gradient = torch.zeros_like(x)
    for i in range(x.numel()):
        bump = torch.zeros_like(x).flatten()
        bump[i] = step
        bump = bump.view_as(x)
        gradient.view(-1)[i] = (f(x + bump) - f(x - bump)) / (2 * step)
    return gradient
