"""Where two distributions still differ: the witness function, and a test whether they differ at all.

MMD is the largest gap of means that a function of unit norm can show, and the function that shows it is

    w(x) = mean k(x, f) − mean k(x, s)                                     (Gretton et al. 2012, §2.3)

up to its norm: large where F has too much, small where it has too little. It is also half the derivative
of MMD² in the weight of a position at x, and so every discrepancy has one: `witness` takes that derivative.

The permutation test asks how often a random division of the pooled positions is as far apart as F and S
are. It is exact for exchangeable positions only. Neighbouring positions of one picture share most of what
their fields see, so they are *not*: thin them out first (`apart`), by about the distance at which they
forget each other (`forgetting`).
"""

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, check_pair
from nstlib.alignment.kernels import Kernel, bandwidth, gaussian


def witness(d: Discrepancy, F: Tensor, S: Tensor, weights: Tensor | None = None) -> Tensor:
    """½ ∂d/∂w_i at equal weights w: (..., N, M), (..., N, M') → (..., M), its mean over positions zero.

    For an MMD this is w(f_i) − mean w. Positive: more like f_i than the style has; removing the position
    would bring the picture nearer. weights: of the style's positions. Raises ValueError for shapes that do
    not fit, and for the paired Gaussian, which only samples positions.
    """
    check_pair(F, S)
    if getattr(d, "estimator", "features") == "paired":
        raise ValueError("the paired estimator has no witness: it compares random pairs; take 'features'")
    own = torch.ones(*F.shape[:-2], F.shape[-1], dtype=F.dtype, device=F.device, requires_grad=True)
    value = d.distance(F.detach(), d.summary(S.detach(), weights), own).sum()
    (slope,) = torch.autograd.grad(value, own)
    return slope * F.shape[-1] / 2


def pull(d: Discrepancy, F: Tensor, S: Tensor) -> Tensor:
    """−M ∂d/∂f_i: in which direction each position is pulled. (..., N, M), (..., N, M') → (..., N, M)."""
    check_pair(F, S)
    leaf = F.detach().clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(d(leaf, S.detach()).sum(), leaf)
    return -F.shape[-1] * slope


def forgetting(maps: Tensor) -> int:
    """The distance, in positions, at which features of a map (N, H, W) correlate by less than 1/e.

    Both directions and all channels together; at least 1, at most half the shorter side.
    """
    centred = maps - maps.mean((-2, -1), keepdim=True)
    power = centred.square().mean()
    for step in range(1, min(maps.shape[-2:]) // 2 + 1):
        across = (centred[..., step:] * centred[..., :-step]).mean()
        down = (centred[..., step:, :] * centred[..., :-step, :]).mean()
        if (across + down) / 2 < power / torch.e:
            return step
    return max(1, min(maps.shape[-2:]) // 2)


def apart(maps: Tensor, spacing: int) -> Tensor:
    """Every `spacing`-th position of a map (N, H, W) down and across, centred: (N, M)."""
    offset = (torch.tensor(maps.shape[-2:]) - 1) % spacing // 2
    return maps[:, int(offset[0]) :: spacing, int(offset[1]) :: spacing].flatten(1)


def permutation_test(
    F: Tensor, S: Tensor, kernel: Kernel | None = None, *, permutations: int = 500, seed: int = 0
) -> float:
    """p-value of "F (N, M) and S (N, M') come from one distribution" by MMD², in (0, 1].

    kernel: by default the Gaussian with the pooled positions' bandwidth. The share of divisions, this one
    counted, whose MMD² is at least that of F and S: O((M + M')² (N + permutations)). Valid where positions
    are exchangeable (see above). Raises ValueError for shapes that do not fit or for fewer than 19
    permutations, with which no p-value is below 0.05.
    """
    check_pair(F, S)
    if permutations < 19:
        raise ValueError(f"with fewer than 19 permutations no p-value is below 0.05, got {permutations}")
    pooled = torch.cat([F.detach(), S.detach()], -1).double()
    K = (kernel or gaussian(bandwidth(pooled)))(pooled, pooled)
    M, total = F.shape[-1], pooled.shape[-1]
    share = torch.cat([torch.full((M,), 1 / M), torch.full((total - M,), -1 / (total - M))]).to(K)
    generator = torch.Generator().manual_seed(seed)
    shuffled = [share[torch.randperm(total, generator=generator).to(K.device)] for _ in range(permutations)]
    divisions = torch.stack([share, *shuffled])  # (permutations + 1, M + M')
    distances = ((divisions @ K) * divisions).sum(-1)
    return float((distances >= distances[0] * (1 - 1e-9)).double().mean())
