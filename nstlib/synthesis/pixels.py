"""Two layers below the encoder's first: a picture's pixels and its grain. What the palette term is made of.

    colours   the pixels' means and covariance, by Gaussian Wasserstein-2: how much of which colour
    nearest   every pixel's distance to the style's nearest colour (see alignment/palette.py)
    grain     means and covariance of a 3 × 3 high pass: how rough, in luminance and in colour

From the pictures of a run that are shown, `restrained` takes away what the colours and their grain vary too
much, and `cleaned` the last strays.

An encoder sees colours only through its filters, and hardly sees the finest ones: whatever the method, there
are pictures with its statistics in colours that the style has not, and with rainbow grain. A departure from
the paper, which has no such term: `palette=0` is the bare method.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import interpolate, pad

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.moments import covariance_mean, mixture
from nstlib.alignment.palette import Palette, confined
from nstlib.alignment.transports import optimal
from nstlib.alignment.wasserstein import Wasserstein
from nstlib.synthesis.objective import Features, StyleTerm

PIXELS, GRAIN = "pixels", "grain"
COARSE = 0.8  # how much less a run's first guess of a step has of the finest grain
BORDER = 16  # px added on each side before Fourier's waves, which take opposite sides for neighbours
# by how much standard deviations may exceed the style's: any colour's below the top octave, luminance's in it
_ONE = torch.eye(3, dtype=torch.float32, device="cpu")
ROOM = (0.1 * _ONE, 0.08 / 3 * torch.ones_like(_ONE))
REACH = 0.08  # RGB distance to the nearest colour, to which strays are brought; from half of it on they move

T = TypeVar("T")

PALETTE = Palette()
PARTS: tuple[tuple[str, str, Discrepancy, float], ...] = (  # a weight of 1 is that of one of five layers
    ("colours", PIXELS, Wasserstein(), 0.4),
    ("nearest", PIXELS, PALETTE, 0.4),
    ("grain", GRAIN, Wasserstein(), 0.8),
)


class _Blurred(torch.autograd.Function):
    """Symmetric as a matrix, so it is its own gradient."""

    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        x = pad(image, [1] * 4, mode="replicate")
        x = torch.add(x[..., :-2], x[..., 1:-1], alpha=2).add_(x[..., 2:])
        return torch.add(x[..., :-2, :], x[..., 1:-1, :], alpha=2).add_(x[..., 2:, :]).mul_(1 / 16)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Any:
        return _Blurred.apply(g)  # type: ignore[no-untyped-call]


def blurred(image: Tensor) -> Tensor:
    """Weights 1, 2, 1 across and down (1, 3, H, W), the border repeated: 0 for a checkerboard."""
    result: Tensor = _Blurred.apply(image)  # type: ignore[no-untyped-call]
    return result


def features(image: Tensor) -> Features:
    """{"pixels", "grain"}: (1, 3, H, W) → (1, 3, M) each. The grain is the picture less itself blurred."""
    return {PIXELS: image.flatten(2), GRAIN: (image - blurred(image)).flatten(2)}


def coarse_first(gradient: Tensor) -> Tensor:
    """The metric of a run with a palette: L-BFGS begins with what is wide, and comes to the grain later.
    In as many steps style and content come nearer, and less of it is grain."""
    return torch.lerp(gradient, blurred(gradient), COARSE)


def bands(image: Tensor) -> tuple[Tensor, Tensor]:
    """The picture (1, 3, H, W) below its top octave, and that octave alone: all that is finer than a quarter
    of a cycle a pixel. They add up to it, and neither has anything of the other."""
    wide = pad(image, [BORDER] * 4, mode="replicate")
    height, width = wide.shape[2:]
    down = torch.fft.fftfreq(height, dtype=torch.float32, device="cpu").unsqueeze(1)
    across = torch.fft.rfftfreq(width, dtype=torch.float32, device="cpu")
    spectrum = torch.fft.rfft2(wide) * (torch.hypot(down, across) > 0.25).to(image.device)
    fine = torch.fft.irfft2(spectrum, s=(height, width))[..., BORDER:-BORDER, BORDER:-BORDER]
    return image - fine, fine


def spreads(styles: Sequence[Tensor], weights: Sequence[float]) -> list[Tensor]:
    """Covariances (1, 3, 3) of the mixed styles' two bands."""
    return [
        covariance_mean(*mixture([part.flatten(2) for part in parts], weights))[0]
        for parts in zip(*map(bands, styles), strict=True)
    ]


def restrained(
    image: Tensor, regions: Sequence[tuple[Sequence[Tensor], Tensor | None]], strength: float
) -> Tensor:
    """The picture (1, 3, H, W), its colours spread no further than the style's, its grain no rougher: each
    band by the optimal map of covariances (alignment/transports.py), nowhere enlarged. regions: `spreads`,
    and a mask as for `cleaned`. strength: from 1 on all of it."""
    parts = bands(image)

    def within(covariances: Sequence[Tensor], mask: Tensor | None) -> Tensor:
        result = image
        for part, C, room in zip(parts, covariances, ROOM, strict=True):
            found, mean = covariance_mean(part.flatten(2), None if mask is None else mask.flatten(1))
            more = (_ONE + room).to(image)
            values, vectors = torch.linalg.eigh(optimal(found, more @ C @ more)[0].cpu())
            excess = min(1.0, strength) * vectors * (1 - values).clamp(min=0) @ vectors.mT
            result = result - torch.einsum("ij,bjhw->bihw", excess.to(image), part - mean[..., None, None])
        return result

    return _joined(image, regions, within)


def terms(
    style: Features, shares: Features | None, colours: Summary, strength: float
) -> tuple[StyleTerm, ...]:
    """The palette's terms for a style's `features`, its positions weighed by `shares`."""
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


def cleaned(
    image: Tensor, regions: Sequence[tuple[Summary, Tensor | None]], strength: float, reach: float = REACH
) -> Tensor:
    """The picture (1, 3, H, W) with its last strays brought to the style's colours, as far as `strength`
    (1: within `reach` of one; 0.1: within ten times that) says. regions: the palette's summary, and where, a
    mask (1, 1, …) of any size, or None for everywhere; where no region is, nothing changes."""
    wide = reach / min(1.0, max(strength, 1e-6))
    return _joined(
        image,
        regions,
        lambda summary, _: confined(image.flatten(2), summary, wide / 2, wide).view(image.shape),
    )


def _joined(
    image: Tensor, regions: Sequence[tuple[T, Tensor | None]], within: Callable[[T, Tensor | None], Tensor]
) -> Tensor:
    """`within` each region's what and mask, where the mask is; where masks overlap, their mean."""
    moved, total = torch.zeros_like(image), torch.zeros_like(image[:, :1])
    for what, mask in regions:
        if mask is None:
            return within(what, None).clamp(0, 1)
        mask = interpolate(mask, image.shape[2:], mode="area")
        moved, total = moved + mask * (within(what, mask) - image), total + mask
    return (image + moved / total.clamp(min=1)).clamp(0, 1)
