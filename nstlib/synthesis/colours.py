"""Keeping the content's colours: Settings.colours is "style" (no change), "luminance" or "content".

luminance   Both images become grey, and the style's luminance gets the content's mean and standard
            deviation. The result's luminance gets the content's chroma back (Gatys et al. 2017, §5.2).
content     The style gets the content's mean and covariance of colour by the optimal linear map; the run
            is then like any other (the same, §5.1).
"""

from typing import Literal

import torch
from torch import Tensor

from nstlib.alignment.moments import covariance_mean
from nstlib.alignment.transports import bures_wasserstein_map

Colours = Literal["style", "luminance", "content"]
LUMA = (0.299, 0.587, 0.114)  # of Rec. 601: luminance of RGB as displayed


def luminance(image: Tensor) -> Tensor:
    """(1, 3, H, W) → (1, 1, H, W)."""
    weights = torch.tensor(LUMA, dtype=image.dtype).to(image.device)
    return torch.einsum("c,bchw->bhw", weights, image).unsqueeze(1)


def prepare_colours(
    colours: Colours, content: Tensor, styles: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the content and the styles that a run works with."""
    if colours == "luminance":
        Y = luminance(content)
        greys = []
        for style in styles:
            y = luminance(style)
            y = (y - y.mean()) / y.std().clamp(min=1e-4) * Y.std() + Y.mean()
            greys.append(y.clamp(0, 1).expand(-1, 3, -1, -1).contiguous())
        return Y.expand(-1, 3, -1, -1).contiguous(), tuple(greys)
    if colours == "content":
        return content, tuple(match_colours(style, content) for style in styles)
    return content, styles


def with_chroma(image: Tensor, content: Tensor) -> Tensor:
    """Return the luminance of `image` with the chroma of `content`; both (1, 3, H, W) of one size."""
    return (content + luminance(image) - luminance(content)).clamp(0, 1)


def match_colours(style: Tensor, content: Tensor) -> Tensor:
    """Return the style with the content's mean and covariance of colour; the map changes colours least."""
    S, C = (image.flatten(2).cpu().double() for image in (style, content))  # not every device has float64
    (C_S, mean_S), (C_C, mean_C) = covariance_mean(S), covariance_mean(C)
    noise = 1e-6 * torch.eye(3, dtype=torch.float64)  # so that the little chroma of a grey style stays little
    A = bures_wasserstein_map(C_S + noise, C_C + noise)
    return (A @ (S - mean_S.unsqueeze(-1)) + mean_C.unsqueeze(-1)).view(style.shape).clamp(0, 1).to(style)
