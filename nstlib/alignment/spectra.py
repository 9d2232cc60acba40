"""Random frequencies: a translation-invariant kernel is the mean of cosines over its spectrum (Bochner
1932).

    k(x, y) = κ(‖x − y‖/σ) = E cos(wᵀ(x − y)/σ)        (Rahimi and Recht 2007)

    gaussian   κ(r) = exp(−r²/2)    w ~ N(0, I): a uniform direction, its length chi distributed
    laplace    κ(r) = exp(−r)       w ~ multivariate Cauchy: a normal vector over a normal number

D frequencies are drawn for σ = 1, as rows of W ∈ R^{D×N}; how evenly they cover the spectrum is a choice:

    plain        independent draws
    orthogonal   directions orthogonal N at a time, lengths independent (Yu et al. 2016)
    quasi        a scrambled Sobol sequence through the normal quantile function (Avron et al. 2016)
"""

import math
from typing import Literal

import torch
from torch import Tensor

Sampling = Literal["plain", "orthogonal", "quasi"]
SAMPLINGS = ("plain", "orthogonal", "quasi")


def directions(count: int, N: int, generator: torch.Generator) -> Tensor:
    """(count, N) unit vectors in float64, orthogonal N at a time: more even than independent ones."""
    blocks = []
    for _ in range(math.ceil(count / N)):
        Q, R = torch.linalg.qr(torch.randn(N, N, generator=generator, dtype=torch.float64))
        blocks.append(Q * R.diagonal().sign())  # with these signs the rotation is uniform (Mezzadri 2007)
    return torch.cat(blocks)[:count]


def quantile(u: Tensor) -> Tensor:
    """The normal quantile function, its ends cut off."""
    found: Tensor = torch.special.ndtri(u.clamp(1e-9, 1 - 1e-9))
    return found


def normal(D: int, N: int, generator: torch.Generator, sampling: Sampling = "plain") -> Tensor:
    """W ~ N(0, I), (D, N) in float64: the Gaussian kernel's spectrum."""
    if sampling == "orthogonal":
        lengths = torch.randn(D, N, generator=generator, dtype=torch.float64).square().sum(-1).sqrt()
        return directions(D, N, generator) * lengths.unsqueeze(-1)
    if sampling == "quasi":
        seed = int(torch.randint(2**31 - 1, (), generator=generator))
        engine = torch.quasirandom.SobolEngine(N, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        uniform: Tensor = engine.draw(D, dtype=torch.float64)
        uniform[0] = uniform[0].float()  # torch rounds this point to the default dtype, the others not
        return quantile(uniform)
    return torch.randn(D, N, generator=generator, dtype=torch.float64)


def cauchy(
    D: int, N: int, generator: torch.Generator, sampling: Sampling = "plain", narrowest: float = 0.0
) -> Tensor:
    """W multivariate Cauchy, (D, N) in float64: the Laplace kernel's spectrum.

    A normal vector over |g|, g normal: the Laplace kernel is a mixture of Gaussian ones of bandwidth σ|g|.
    The |g| are the quantiles of D equal shares, shuffled, and at least `narrowest`.
    """
    shares = (torch.arange(D, dtype=torch.float64) + 0.5) / D
    widths = quantile(0.5 + shares / 2)[torch.randperm(D, generator=generator)].clamp(min=narrowest)
    return normal(D, N, generator, sampling) / widths.unsqueeze(-1)
