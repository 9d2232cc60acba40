"""First and second moments of features F (..., N, M), for the linear, BN and Gram statistics.

    mean      μ = F 1 / M                        ∂/∂F = g 1ᵀ / M
    variance  σ² = mean (F − μ)²                 ∂/∂F = 2 g (F − μ) / M
    gram      G = F Fᵀ / M                       ∂/∂F = (g + gᵀ) F / M

Each function accepts `weights` (..., M) ≥ 0 of the positions, whose normalised values replace 1/M. A mask as
weights gives the moments of a region. The weights of `mix_samples` give the moments of a mixture of styles.

At the first layers, F is by far the largest tensor of a run. Autograd would write its gradient once for each
operation. Here it is written only once, in the memory format of F. Matrix products over positions are 1×1
convolutions by oneDNN. For such long, thin matrices they take less than half the time of `@` (MKL) on an AMD
processor. Where oneDNN cannot be used (see `_convolves`), `@` replaces them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d
from torch.nn.grad import conv2d_weight

from nstlib.alignment.samples import floor_root

ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def normalize_weights(F: Tensor, weights: Tensor) -> Tensor:
    """Returns weights / Σ weights, the share of each position of F (..., N, M). weights: (..., M).

    Raises ValueError if the number of weights is wrong, or they are negative, not finite or all zero.
    """
    if weights.shape[-1:] != F.shape[-1:]:
        raise ValueError(f"need one weight for each of {F.shape[-1]} positions, got {tuple(weights.shape)}")
    weights = weights.to(F)
    total = weights.sum(-1, keepdim=True)
    if bool((weights < 0).any()) or not bool(((total > 0) & total.isfinite()).all()):
        raise ValueError("weights of positions must be finite numbers >= 0 and not all zero")
    return weights / total


def mix_samples(parts: Sequence[Tensor], weights: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Returns the joined samples, (..., N, M_k) → (..., N, Σ M_k), and weights (..., Σ M_k) of the positions.
    The weight of each sample is divided equally among its positions."""
    counts = [
        F.new_full((*F.shape[:-2], F.shape[-1]), w / F.shape[-1]) for F, w in zip(parts, weights, strict=True)
    ]
    return torch.cat(list(parts), -1), torch.cat(counts, -1)


def mean(F: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns μ: (..., N, M) → (..., N). It divides the sum, so that autograd divides only N numbers."""
    if weights is not None:
        return (F @ normalize_weights(F, weights).unsqueeze(-1)).squeeze(-1)
    return F.sum(-1) / F.shape[-1]


def variance_mean(F: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns σ² (biased: divided by M) and μ: (..., N, M) → (..., N), (..., N)."""
    if weights is not None:
        centre = mean(F, weights)
        return mean((F - centre.unsqueeze(-1)).square(), weights), centre
    variance, centre = _VarianceMean.apply(F)  # type: ignore[no-untyped-call]
    return variance, centre


def gram(F: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns G = FFᵀ/M: (..., N, M) → (..., N, N)."""
    if weights is not None:
        p = normalize_weights(F, weights)
        F = F * (p * F.shape[-1]).sqrt().unsqueeze(-2)  # Σ p f fᵀ = mean (√pM f)(√pM f)ᵀ
    G: Tensor = _Gram.apply(F)  # type: ignore[no-untyped-call]
    return G


def covariance_mean(F: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns C = (F − μ)(F − μ)ᵀ/M and μ: (..., N, M) → (..., N, N), (..., N)."""
    centre = mean(F, weights)
    # the gradient through μ in C is zero, because Σ (f − μ) = 0
    return gram(F - centre.detach().unsqueeze(-1), weights), centre


def pool_moments(parts: Iterable[tuple[float, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Returns covariance and mean of a mixture: Σ p_k (C_k + (μ_k − μ)(μ_k − μ)ᵀ) and μ = Σ p_k μ_k.

    parts: Weight > 0, covariance (…, N, N) and mean (…, N) of each sample k, read one by one.
    """
    total, covariance, mean = 0.0, torch.zeros(()), torch.zeros(())
    for weight, C, μ in parts:
        total += weight
        share, d = weight / total, μ - mean.to(μ)
        covariance = covariance.to(C)
        covariance = covariance + share * (C - covariance + (1 - share) * d.unsqueeze(-1) * d.unsqueeze(-2))
        mean = μ + (share - 1) * d
    return covariance, mean


def wide(x: Tensor) -> Tensor:
    """Returns x in float64, on its CUDA device or the CPU. In float32, moments about zero lose digits."""
    return (x if x.is_cuda else x.cpu()).double()


def narrow(x: Tensor, like: Tensor) -> Tensor:
    """Returns x in the dtype and on the device of `like`. The dtype changes first. So in the backward pass,
    the gradient leaves the device, which may lack float64, before it becomes float64."""
    return x.to(like.dtype).to(like.device)


def embed_covariance(F: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
    """Returns the means of f and of f fᵀ in float64, from which `split_covariance` computes C and μ."""
    C, centre = map(wide, covariance_mean(F, weights))
    return {"mean": centre, "second": C + centre.unsqueeze(-1) * centre.unsqueeze(-2)}


def split_covariance(embedding: dict[str, Tensor], like: Tensor) -> tuple[Tensor, Tensor]:
    """Returns C and μ from the result of `embed_covariance`, in the dtype and on the device of `like`."""
    centre = embedding["mean"]
    C = embedding["second"] - centre.unsqueeze(-1) * centre.unsqueeze(-2)
    return narrow(C, like), narrow(centre, like)


def weighted_bandwidth(S: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns σ, the root mean squared distance between weighted positions: (..., N, M) → (...).

    mean ‖s − s'‖² = 2 Σ σ_i² over channels i. Like `kernels.bandwidth`, the result is never 0."""
    variance, centre = variance_mean(S, weights)
    return floor_root(2 * variance.sum(-1), 2 * (variance + centre.square()).sum(-1))


def product(A: Tensor, F: Tensor) -> Tensor:
    """Returns A F: (..., D, N), (..., N, M) → (..., D, M), in the memory format of F."""
    if not _convolves(F) or A.shape[:-2].numel() != 1:
        return A @ F
    return conv2d(_map(F), A.reshape(*A.shape[-2:], 1, 1)).flatten(2)


def outer(F: Tensor) -> Tensor:
    """Returns F Fᵀ, by the weight gradient of a 1×1 convolution: (..., N, M) → (..., N, N)."""
    if not _convolves(F):
        return F @ F.mT
    N, x = F.shape[-2], _map(F)
    G: Tensor = conv2d_weight(x, (N, N, 1, 1), x)  # type: ignore[no-untyped-call]
    return G.view(1, N, N)


def _convolves(F: Tensor) -> bool:
    """Whether oneDNN can be used: F is one float32 map on a CPU, with each position contiguous in memory."""
    one = F.dim() == 3 and len(F) == 1 and F[0].mT.is_contiguous()
    return one and ONEDNN and F.device.type == "cpu" and F.dtype == torch.float32


def _map(F: Tensor) -> Tensor:
    """Returns F (1, N, M) as a map (1, N, 1, M), channels last."""
    return F[0].mT.view(1, 1, F.shape[2], F.shape[1]).permute(0, 3, 1, 2)


class _VarianceMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, F: Tensor) -> tuple[Tensor, Tensor]:
        mean = F.sum(-1) / F.shape[-1]
        variance = (F - mean.unsqueeze(-1)).square_().sum(-1) / F.shape[-1]  # a fifth of var_mean's time
        ctx.save_for_backward(F, mean)
        return variance, mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_variance: Tensor, g_mean: Tensor) -> Tensor:
        F, mean = ctx.saved_tensors
        slope = 2 * g_variance / F.shape[-1]
        offset = g_mean / F.shape[-1] - slope * mean
        gradient: Tensor = torch.addcmul(offset.unsqueeze(-1), slope.unsqueeze(-1), F)
        return gradient


class _Gram(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, F: Tensor) -> Tensor:
        ctx.save_for_backward(F)
        return outer(F) / F.shape[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (F,) = ctx.saved_tensors
        symmetric = (g + g.mT) / F.shape[-1]
        return product(symmetric, F)
