"""Keeping the content's colours: Settings.colours is "style" (no change), "luminance" or "content".

luminance   Both images become grey, and the style's luminance gets the content's mean and standard
            deviation. The result then gets the content's chroma (Gatys et al. 2017, §5.2).
content     The optimal affine map gives the style the content's mean and covariance of colour. The run
            then works as usual (Gatys et al. 2017, §5.1).
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from nstlib.alignment.moments import covariance_mean, pool_moments
from nstlib.alignment.transports import bures_wasserstein_map

Colours = Literal["style", "luminance", "content"]
STRIP = 1 << 18  # number of pixels of a large image that are processed at a time
LUMA = (0.299, 0.587, 0.114)  # weights of R, G, B in luminance (Rec. 601, for gamma-encoded RGB)


def strips(*images: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yields strips of images (…, H, W) of one size: views of a few rows, about STRIP pixels."""
    rows = max(1, STRIP // images[0].shape[-1])
    return zip(*(torch.split(image, rows, -2) for image in images), strict=True)


def blend_by_masks(content: Tensor, image: Tensor, masks: Sequence[Tensor]) -> Tensor:
    """Returns the content outside the masks (1, 1, H, W), and the image where their sum is at least 1."""
    return torch.lerp(content.to(image), image, torch.stack(list(masks)).sum(0).clamp(max=1).to(image))


def luminance(image: Tensor) -> Tensor:
    """Returns the luminance of an image: (1, 3, H, W) → (1, 1, H, W)."""
    weights = torch.tensor(LUMA, dtype=image.dtype).to(image.device)
    return torch.einsum("c,bchw->bhw", weights, image).unsqueeze(1)


def prepare_colours(
    colours: Colours, content: Tensor, styles: tuple[Tensor, ...]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Returns the content and the styles that a run works with."""
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
    """Returns the luminance of `image` with the chroma of `content`; both (1, 3, H, W) of one size."""
    return (content + luminance(image)).sub_(luminance(content)).clamp_(0, 1)


def match_colours(style: Tensor, content: Tensor) -> Tensor:
    """Returns the style with the content's mean and covariance of colour, changed as little as possible."""

    def values(part: Tensor) -> Tensor:
        return part.flatten(2).cpu().double()  # not every device has float64

    (C_S, mean_S), (C_C, mean_C) = (
        pool_moments((part.numel(), *covariance_mean(values(part))) for (part,) in strips(image))
        for image in (style, content)
    )
    noise = 1e-6 * torch.eye(3, dtype=torch.float64)  # so that a grey style's faint chroma is not amplified
    A = bures_wasserstein_map(C_S + noise, C_C + noise)
    result = style.new_empty(style.shape)
    for part, out in strips(style, result):
        moved = A @ (values(part) - mean_S.unsqueeze(-1)) + mean_C.unsqueeze(-1)
        out.copy_(moved.view(part.shape).clamp_(0, 1).to(style))
    return result
