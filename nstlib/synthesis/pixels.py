"""The palette term: two layers below the encoder's first, an image's pixels and its grain.

    colours   mean and covariance of the pixels, by Gaussian Wasserstein-2: how much of which colour
    nearest   distance of every pixel to the style's nearest colour (see alignment/palette.py)
    grain     mean and covariance of a 3 × 3 high pass: how rough the image is, in luminance and in chroma

In the images that a run shows, `limit_variance` limits the variance of colours and grain, and
`remove_outlier_colours` projects out-of-palette colours.

An encoder sees colours only through its filters, and it hardly sees the finest grain. Whatever the method,
there are images with the style's statistics in colours that are not in the style, and with chromatic noise.
The paper has no such term: `palette=0` is the paper's objective.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import interpolate, pad

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.moments import covariance_mean, mix_samples
from nstlib.alignment.palette import Palette, project_to_palette
from nstlib.alignment.transports import bures_wasserstein_map
from nstlib.alignment.wasserstein import Wasserstein
from nstlib.encoders.encoder import Encoder
from nstlib.synthesis.objective import Features, StyleTerm

PIXELS, GRAIN = "pixels", "grain"
COARSE = 0.8  # by how much the preconditioner reduces the finest grain
BORDER = 16  # px added on each side before the FFT, which treats the image as periodic
# by how much standard deviations may exceed the style's: of any colour below the top octave, luminance in it
_ONE = torch.eye(3, dtype=torch.float32, device="cpu")
ALLOWANCE = (0.1 * _ONE, 0.08 / 3 * torch.ones_like(_ONE))
REACH = 0.08  # largest RGB distance to the nearest colour after the projection, which starts at half of it

PALETTE = Palette()
PARTS: tuple[tuple[str, str, Discrepancy, float], ...] = (  # a weight of 1 is that of one of five layers
    ("colours", PIXELS, Wasserstein(), 0.4),
    ("nearest", PIXELS, PALETTE, 0.4),
    ("grain", GRAIN, Wasserstein(), 0.8),
)
# statistics of styles, and the mask (1, 1, …), of any size, where they apply (None: everywhere)
Regions = Sequence[tuple[Any, Tensor | None]]


class _Blurred(torch.autograd.Function):
    """The blur is symmetric as a matrix, so it is its own gradient."""

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        x = pad(image, [1] * 4, mode="replicate")
        x = torch.add(x[..., :-2], x[..., 1:-1], alpha=2).add_(x[..., 2:])
        return torch.add(x[..., :-2, :], x[..., 1:-1, :], alpha=2).add_(x[..., 2:, :]).mul_(1 / 16)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        return _Blurred.apply(g)  # type: ignore[no-untyped-call]


def blur(image: Tensor) -> Tensor:
    """Blur (1, 3, H, W) with the weights 1, 2, 1 across and down and a repeated border."""
    result: Tensor = _Blurred.apply(image)  # type: ignore[no-untyped-call]
    return result


def features(image: Tensor) -> Features:
    """Return {"pixels", "grain"}, (1, 3, M) each, of an image (1, 3, H, W). Grain is image minus blur."""
    return {PIXELS: image.flatten(2), GRAIN: (image - blur(image)).flatten(2)}


def encode(encoder: Encoder, image: Tensor, layers: Iterable[str], checkpoint: bool = False) -> Features:
    """Return the features of an image at `layers`, which may include the pixels and the grain."""
    layers = tuple(layers)
    own = features(image) if PIXELS in layers else {}
    return own | encoder(image, [layer for layer in layers if layer not in own], checkpoint=checkpoint)


def blur_preconditioner(gradient: Tensor) -> Tensor:
    """Precondition a gradient: L-BFGS then begins with coarse structure, and less of the result is grain."""
    return torch.lerp(gradient, blur(gradient), COARSE)


def terms(
    style: Features, shares: Features | None, colours: Summary, strength: float
) -> tuple[StyleTerm, ...]:
    """Return the palette's terms for a style's `features`, its positions weighted by `shares`."""
    return tuple(
        StyleTerm(
            layer,
            d,
            colours if d is PALETTE else d.summary(style[layer], shares[layer] if shares else None),
            strength * weight / 5,
            name=f"palette/{name}",
        )
        for name, layer, d, weight in PARTS
    )


def summarize_palette(styles: Sequence[Tensor], weights: Sequence[float]) -> Summary:
    """Return the palette of mixed styles (1, 3, H, W). A style of weight 0 contributes no colour."""
    pixels = [style.flatten(2) for style, weight in zip(styles, weights, strict=True) if weight]
    return PALETTE.summary(torch.cat(pixels, -1))


def split_frequencies(image: Tensor) -> tuple[Tensor, Tensor]:
    """Split an image (1, 3, H, W) at a quarter of a cycle per pixel, below and in the top octave."""
    wide = pad(image, [BORDER] * 4, mode="replicate")
    height, width = wide.shape[2:]
    down = torch.fft.fftfreq(height, dtype=torch.float32, device="cpu").unsqueeze(1)
    across = torch.fft.rfftfreq(width, dtype=torch.float32, device="cpu")
    spectrum = torch.fft.rfft2(wide) * (torch.hypot(down, across) > 0.25).to(image.device)
    fine = torch.fft.irfft2(spectrum, s=(height, width))[..., BORDER:-BORDER, BORDER:-BORDER]
    return image - fine, fine


def band_covariances(styles: Sequence[Tensor], weights: Sequence[float]) -> list[Tensor]:
    """Return the covariances (1, 3, 3) of the mixed styles' two bands."""
    return [
        covariance_mean(*mix_samples([part.flatten(2) for part in parts], weights))[0]
        for parts in zip(*map(split_frequencies, styles), strict=True)
    ]


def limit_variance(image: Tensor, regions: Regions, strength: float) -> Tensor:
    """Limit the variance of the image's colours and grain, in (1, 3, H, W), to the style's.

    Each band is moved by the optimal map of covariances (alignment/transports.py), which may enlarge no
    direction. regions: The styles' `band_covariances`. strength: Fraction of the correction; from 1 on all
    of it.
    """
    parts = split_frequencies(image)

    def limit(covariances: Sequence[Tensor], mask: Tensor | None) -> Tensor:
        result = image
        for part, C, allowance in zip(parts, covariances, ALLOWANCE, strict=True):
            found, mean = covariance_mean(part.flatten(2), None if mask is None else mask.flatten(1))
            more = (_ONE + allowance).to(image)
            values, vectors = torch.linalg.eigh(bures_wasserstein_map(found, more @ C @ more)[0].cpu())
            excess = min(1.0, strength) * vectors * (1 - values).clamp(min=0) @ vectors.mT
            result = result - torch.einsum("ij,bjhw->bihw", excess.to(image), part - mean[..., None, None])
        return result

    return _joined(image, regions, limit)


def remove_outlier_colours(image: Tensor, regions: Regions, strength: float, reach: float = REACH) -> Tensor:
    """Project out-of-palette colours of the image (1, 3, H, W) towards the style's nearest colours.

    regions: The styles' `summarize_palette`. strength: 1 leaves no pixel further than `reach` from the
    palette, 0.1 ten times as far.
    """
    wide = reach / min(1.0, max(strength, 1e-6))
    flat = image.flatten(2)
    return _joined(image, regions, lambda S, _: project_to_palette(flat, S, wide / 2, wide).view(image.shape))


def _joined(image: Tensor, regions: Regions, change: Callable[[Any, Tensor | None], Tensor]) -> Tensor:
    """Change the image in each region as its statistics say; where masks overlap, take the mean."""
    moved, total = torch.zeros_like(image), torch.zeros_like(image[:, :1])
    for statistics, mask in regions:
        if mask is None:
            return change(statistics, None).clamp(0, 1)
        mask = interpolate(mask, image.shape[2:], mode="area")
        moved, total = moved + mask * (change(statistics, mask) - image), total + mask
    return (image + moved / total.clamp(min=1)).clamp(0, 1)
