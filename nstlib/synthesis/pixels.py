"""Two layers below the encoder's first: a picture's pixels and its grain. What the palette term is made of.

    colours   the pixels' means and covariance, by Gaussian Wasserstein-2: how much of which colour
    nearest   every pixel's distance to the style's nearest colour (see alignment/palette.py)
    grain     means and covariance of a 3 × 3 high pass: how rough, in luminance and in colour

An encoder sees colours only through its filters, and hardly sees the finest ones: whatever the method, there
are pictures with its statistics in colours that the style has not, and with rainbow grain. A departure from
the paper, which has no such term: `palette=0` is the bare method.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.palette import Palette, confined
from nstlib.alignment.wasserstein import Wasserstein
from nstlib.synthesis.objective import Features, StyleTerm

PIXELS, GRAIN = "pixels", "grain"
REACH = 0.08  # RGB distance to the nearest colour, to which strays are brought; from half of it on they move


PALETTE = Palette()
PARTS: tuple[tuple[str, str, Discrepancy, float], ...] = (  # a weight of 1 is that of one of five layers
    ("colours", PIXELS, Wasserstein(), 0.4),
    ("nearest", PIXELS, PALETTE, 0.4),
    ("grain", GRAIN, Wasserstein(), 0.8),
)


def features(image: Tensor) -> Features:
    """{"pixels", "grain"}: (1, 3, H, W) → (1, 3, M) each. The grain is the picture less itself blurred."""
    x = pad(image, [1] * 4, mode="replicate")
    x = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    blurred = (x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]) / 16
    return {PIXELS: image.flatten(2), GRAIN: (image - blurred).flatten(2)}


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
    image: Tensor, regions: list[tuple[Summary, Tensor | None]], strength: float, reach: float = REACH
) -> Tensor:
    """The picture (1, 3, H, W) with its last strays brought to the style's colours, as far as `strength`
    (1: within `reach` of one; 0.1: within ten times that) says. regions: the palette's summary, and where, a
    mask (1, 1, …) of any size, or None for everywhere; where no region is, nothing changes."""
    moved, total = torch.zeros_like(image), torch.zeros_like(image[:, :1])
    for summary, mask in regions:
        wide = reach / min(1.0, max(strength, 1e-6))
        within = confined(image.flatten(2), summary, wide / 2, wide).view(image.shape)
        if mask is None:
            return within.clamp(0, 1)
        mask = interpolate(mask, image.shape[2:], mode="area")
        moved, total = moved + mask * (within - image), total + mask
    return (image + moved / total.clamp(min=1)).clamp(0, 1)
