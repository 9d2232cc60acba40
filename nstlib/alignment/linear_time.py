"""The paper's estimator of the Gaussian kernel's MMD² in linear time (after Gretton et al. 2012, Lemma 14).

    mean of k(f₁, f₂) + k(s₁, s₂) − k(f₁, s₂) − k(f₂, s₁)        over freshly drawn pairs

The estimate is unbiased, differs from call to call, and may be negative.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nstlib.alignment.kernels import gaussian
from nstlib.alignment.moments import normalize_weights


def paired_mmd2(
    F: Tensor,
    S: Tensor,
    width: Callable[[Tensor, Tensor], Tensor],
    generator: torch.Generator,
    of_F: Tensor | None = None,
    of_S: Tensor | None = None,
) -> Tensor:
    """Returns the estimate (...) for F (..., N, M), S (..., N, M'). width: returns σ of drawn positions.
    of_F, of_S: weights of the positions, which are drawn in proportion to them."""
    half = min(F.shape[-1], S.shape[-1]) // 2
    if half < 1:
        raise ValueError("the paired estimator needs at least two positions in each sample")
    f, s = _draw(F, of_F, 2 * half, generator), _draw(S, of_S, 2 * half, generator)
    f1, f2, s1, s2 = f[..., :half], f[..., half:], s[..., :half], s[..., half:]
    k = gaussian(width(f, s)[..., None])

    def each(x: Tensor, y: Tensor) -> Tensor:  # k(x_i, y_i), pair by pair: (..., half)
        return k(x.mT.unsqueeze(-1), y.mT.unsqueeze(-1))[..., 0, 0]

    return torch.mean(each(f1, f2) + each(s1, s2) - each(f1, s2) - each(f2, s1), -1)


def _draw(X: Tensor, weights: Tensor | None, count: int, generator: torch.Generator) -> Tensor:
    """Draws positions of X without replacement, or with replacement if weights (M) are given."""
    if weights is None:
        chosen = torch.randperm(X.shape[-1], generator=generator)[:count]
    else:
        p = normalize_weights(X, weights.flatten()).cpu()
        chosen = torch.multinomial(p, count, replacement=True, generator=generator)
    return X[..., chosen.to(X.device)]
