"""Keeping the content's colours: Settings.colours = "style" (take the style's), "luminance" or "content".

luminance   both pictures in grey, the style's luminance with the content's mean and deviation; the
            result's luminance gets the content's chroma back (Gatys et al. 2017, §5.2)
content     the style repainted in the content's colours, mean and covariance, by the optimal linear map;
            then a run like any other (the same, §5.1)
"""

from typing import Literal

import torch
from torch import Tensor

Colours = Literal["style", "luminance", "content"]
LUMA = (0.299, 0.587, 0.114)  # of Rec. 601: luminance of RGB as displayed


def luminance(image: Tensor) -> Tensor:
    """(1, 3, H, W) → (1, 1, H, W)."""
    weights = torch.tensor(LUMA, dtype=image.dtype).to(image.device)
    return torch.einsum("c,bchw->bhw", weights, image).unsqueeze(1)


def prepared(
    colours: Colours, content: Tensor, styles: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The pictures that a run sees."""
    if colours == "luminance":
        Y = luminance(content)
        greys = []
        for style in styles:
            y = luminance(style)
            y = (y - y.mean()) / y.std().clamp(min=1e-4) * Y.std() + Y.mean()
            greys.append(y.clamp(0, 1).expand(-1, 3, -1, -1).contiguous())
        return Y.expand(-1, 3, -1, -1).contiguous(), tuple(greys)
    if colours == "content":
        return content, tuple(recoloured(style, content) for style in styles)
    return content, styles


def with_chroma(image: Tensor, content: Tensor) -> Tensor:
    """The luminance of `image`, the chroma of `content`; both (1, 3, H, W) of one size."""
    return (content + luminance(image) - luminance(content)).clamp(0, 1)


def recoloured(style: Tensor, content: Tensor) -> Tensor:
    """The style with the content's mean and covariance of colour: x ↦ A (x − μ_S) + μ_C with
    A = C_S^{-1/2} (C_S^{1/2} C_C C_S^{1/2})^{1/2} C_S^{-1/2}, which moves colours least."""
    (mean_S, C_S), (mean_C, C_C) = _statistics(style), _statistics(content)
    root, inverse = _power(C_S, 0.5), _power(C_S, -0.5)
    A = inverse @ _power(root @ C_C @ root, 0.5) @ inverse
    pixels = style[0].flatten(1).cpu().double()
    return (A @ (pixels - mean_S) + mean_C).view(style.shape).clamp(0, 1).to(style)


def _statistics(image: Tensor) -> tuple[Tensor, Tensor]:
    pixels = image[0].flatten(1).cpu().double()  # not every device has float64
    return pixels.mean(1, keepdim=True), pixels.cov(correction=0) + 1e-6 * torch.eye(3, dtype=torch.float64)


def _power(C: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(C)
    power: Tensor = vectors * values.clamp(min=1e-12) ** exponent @ vectors.mT
    return power
