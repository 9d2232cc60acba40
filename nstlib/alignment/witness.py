"""Where two distributions differ: the witness function, and a two-sample test.

MMD is the largest difference between the means of a function over F and over S, for functions of unit norm.
The function that attains it is, up to its norm, the witness function

    w(x) = mean k(x, f) − mean k(x, s)                                     (Gretton et al. 2012, §2.3)

It is positive where F has too many features like x, and negative where F has too few. It is also half the
derivative of MMD² with respect to the weight of a position at x. Every discrepancy has such a derivative, and
`witness` computes it.

The permutation test counts how often a random division of the pooled positions has at least the MMD² of F and
S. It is exact only for exchangeable positions. Neighbouring positions of an image share most of their
receptive fields, so they are *not* exchangeable. First select positions (`subsample`) at the distance at
which they are roughly uncorrelated (`correlation_length`).
"""

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy
from nstlib.alignment.kernels import Kernel, bandwidth, gaussian
from nstlib.alignment.samples import centre_samples, check_pair, promote
from nstlib.version import use_torch_defaults


@use_torch_defaults(gradients=True)
def witness(d: Discrepancy, F: Tensor, S: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns how much each position of F contributes to d(F, S): > 0 where its feature is too frequent in F.

    This is ½ ∂d/∂p_i at equal weights p of the positions. For an MMD, it is the centred witness function.

    Args:
        d: any discrepancy but the paired Gaussian, which only samples positions.
        F: (..., N, M).
        S: (..., N, M'). Both are promoted to the wider of their dtypes.
        weights: (..., M') ≥ 0, of the positions of S, like `style_weights` of `transport`.

    Returns:
        The witness (..., M), of mean zero.

    Raises:
        ValueError: Shapes or weights do not fit, or d is the paired Gaussian.
    """
    check_pair(F, S, "witness(d, F, S)")
    if getattr(d, "estimator", "features") == "paired":
        raise ValueError("the paired estimator has no witness: it compares random pairs; take 'features'")
    F, S = promote(F.detach().clone(), S.detach())
    own = torch.ones(*F.shape[:-2], F.shape[-1], dtype=F.dtype, device=F.device, requires_grad=True)
    value = d.distance(F, d.summary(S, weights), own).sum()
    (slope,) = torch.autograd.grad(value, own)
    return slope * F.shape[-1] / 2


def correlation_length(maps: Tensor) -> int:
    """Returns the distance, in positions, at which features of maps (N, H, W) correlate by less than 1/e,
    averaged over directions and channels. It is at least 1 and at most half the shorter side."""
    centred = maps - maps.mean((-2, -1), keepdim=True)
    power = centred.square().mean()
    for step in range(1, min(maps.shape[-2:]) // 2 + 1):
        across = (centred[..., step:] * centred[..., :-step]).mean()
        down = (centred[..., step:, :] * centred[..., :-step, :]).mean()
        if (across + down) / 2 < power / torch.e:
            return step
    return max(1, min(maps.shape[-2:]) // 2)


def subsample(maps: Tensor, spacing: int) -> Tensor:
    """Returns every `spacing`-th position down and across, centred: (..., N, H, W) → (..., N, M)."""
    down, across = ((side - 1) % spacing // 2 for side in maps.shape[-2:])
    return maps[..., down::spacing, across::spacing].flatten(-2)


@use_torch_defaults()
def permutation_test(
    F: Tensor, S: Tensor, kernel: Kernel | None = None, *, permutations: int = 500, seed: int = 0
) -> float:
    """Tests by MMD² whether F and S come from one distribution. Returns the p-value, in (0, 1].

    The p-value is the share of divisions of the pooled positions, including the given one, whose MMD² is at
    least that of F and S (Gretton et al. 2012, §5). It is computed on the CPU in float64, in O((M + M')² (N +
    permutations)).

    Args:
        F: (N, M), or (1, N, M) as an encoder returns it. Positions must be exchangeable.
        S: (N, M') or (1, N, M').
        kernel: k(x, y); by default the Gaussian kernel with the bandwidth of the pooled positions.
        permutations: number of random divisions, at least 19. With fewer, every p-value is above 0.05.
        seed: seed of the divisions.

    Raises:
        ValueError: Shapes do not fit, a batch has more than one sample, values are not finite, or there are
            too few permutations.
    """
    check_pair(F, S, "permutation_test(F, S, kernel)")
    if max(F.shape[:-2].numel(), S.shape[:-2].numel()) > 1:
        raise ValueError(
            "permutation_test compares one sample with one: F (N, M) or (1, N, M) with S; got "
            f"{tuple(F.shape)} and {tuple(S.shape)}. Call it once for each pair of a batch"
        )
    if permutations < 19:
        raise ValueError(f"with fewer than 19 permutations every p-value is above 0.05, got {permutations}")
    F, S = (X.detach().reshape(X.shape[-2:]).cpu().double() for X in (F, S))
    kernel = kernel or gaussian(bandwidth(torch.cat([F, S], -1)))
    pooled = torch.cat(centre_samples(kernel, F, S), -1)
    K = kernel(pooled, pooled)
    if not K.isfinite().all():
        raise ValueError("F or S holds values that are NaN, infinite or too large for the kernel")
    M, total = F.shape[-1], pooled.shape[-1]
    share = torch.full((total,), -1 / (total - M), dtype=K.dtype)
    share[:M] = 1 / M
    generator = torch.Generator().manual_seed(seed)
    shuffled = [share[torch.randperm(total, generator=generator)] for _ in range(permutations)]
    divisions = torch.stack([share, *shuffled])  # (permutations + 1, M + M')
    distances = ((divisions @ K) * divisions).sum(-1)
    return float((distances >= distances[0] * (1 - 1e-9)).double().mean())
