"""The palette term: treats an image's pixels and its grain like two more layers of the encoder.

    colours   mean and covariance of the pixels, by Gaussian Wasserstein-2
    nearest   distance of every pixel to the style's nearest colour (see alignment/palette.py)
    grain     mean and covariance of a 3 × 3 high pass: how rough the image is, in luminance and in chroma

After each step, the image to be shown is corrected: `limit_variance` limits the variance of colours and
grain, and `remove_outlier_colours` moves out-of-palette colours towards the palette.

An encoder sees colours only through its filters, and it hardly sees the finest grain. So with every method,
images can match the style's statistics and still have chromatic noise and colours that the style lacks.
The paper has no such term: `palette=0` is the paper's objective.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import interpolate, pad

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.moments import covariance_mean, pool_moments
from nstlib.alignment.palette import Palette, project_to_palette
from nstlib.alignment.transports import bures_wasserstein_map
from nstlib.alignment.wasserstein import Wasserstein
from nstlib.encoders import IMAGE, Encoder, Window
from nstlib.synthesis.colours import strips
from nstlib.synthesis.terms import Features, StyleTerm

PIXELS, GRAIN = "pixels", "grain"
COARSE = 0.8  # fraction by which the preconditioner reduces the finest grain
BORDER = 16  # px added on each side before the FFT, which treats the image as periodic
# by how much standard deviations may exceed the style's: 10 % in any colour below the top octave, and in the
# top octave 8 % in luminance
_ONE = torch.eye(3, dtype=torch.float32, device="cpu")
ALLOWANCE = (0.1 * _ONE, 0.08 / 3 * torch.ones_like(_ONE))
REACH = 0.08  # largest RGB distance to the nearest colour after the projection; up to half of it is unchanged

PALETTE = Palette()
PARTS: tuple[tuple[str, str, Discrepancy, float], ...] = (  # weight 1 equals one of five style layers
    ("colours", PIXELS, Wasserstein(), 0.4),
    ("nearest", PIXELS, PALETTE, 0.4),
    ("grain", GRAIN, Wasserstein(), 0.8),
)
# statistics of styles, and the mask (1, 1, H, W), of any size, of their region (None: everywhere)
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
    """Blurs (1, 3, H, W) with the weights 1, 2, 1 across and down, repeating the border."""
    result: Tensor = _Blurred.apply(image)  # type: ignore[no-untyped-call]
    return result


def features(image: Tensor, window: Window | None = None) -> Features:
    """Returns the "pixels" and the "grain" (image minus blur) of an image (1, 3, H, W), each (1, 3, M)."""
    inside = (..., *window.inside[PIXELS]) if window else ...
    return {PIXELS: image[inside].flatten(2), GRAIN: (image - blur(image))[inside].flatten(2)}


def encode(encoder: Encoder, image: Tensor, layers: Iterable[str], window: Window | None = None) -> Features:
    """Returns the features of an image at `layers`, which may include the pixels and the grain.

    window: One of `make_windows`; the image is its crop. Layers without a position in the crop are omitted.
    """
    layers = [layer for layer in layers if window is None or layer in window.positions]
    own = features(image, window) if {PIXELS, GRAIN}.intersection(layers) else {}
    deep = [layer for layer in layers if layer not in own]
    return own | (encoder(image, deep, window=window) if deep else {})


def make_windows(
    encoder: Encoder, size: Sequence[int], layers: Iterable[str], tile: int
) -> list[list[Window]]:
    """Returns the windows of each segment (see encoders/windows.py), pixels and grain included."""
    windows = encoder.windows(size, [layer for layer in layers if layer not in (PIXELS, GRAIN)], tile)
    for window in windows[0]:
        for name in (PIXELS, GRAIN):
            window.positions[name], window.inside[name] = window.positions[IMAGE], window.inside[IMAGE]
            window.sizes[name] = window.sizes[IMAGE]
    return windows


def blur_preconditioner(gradient: Tensor) -> Tensor:
    """Preconditions a gradient. L-BFGS then begins with coarse structure, and the result has less grain."""
    result = torch.empty_like(gradient)
    for channel in range(gradient.shape[1]):  # one by one, which needs less memory
        fine = gradient[:, channel : channel + 1]
        torch.lerp(fine, blur(fine), COARSE, out=result[:, channel : channel + 1])
    return result


def terms(
    summaries: Mapping[tuple[str, Discrepancy], Summary], colours: Summary, strength: float
) -> tuple[StyleTerm, ...]:
    """Returns the palette's terms from the statistics of the style."""
    return tuple(
        StyleTerm(
            layer,
            d,
            colours if d is PALETTE else summaries[layer, d],
            strength * weight / 5,
            name=f"palette/{name}",
        )
        for name, layer, d, weight in PARTS
    )


def summarize_palette(styles: Sequence[Tensor], weights: Sequence[float]) -> Summary:
    """Returns the palette of mixed styles (1, 3, H, W). A style of weight 0 contributes no colour."""
    pixels = [style.flatten(2) for style, weight in zip(styles, weights, strict=True) if weight]
    return PALETTE.summary(pixels[0] if len(pixels) == 1 else torch.cat(pixels, -1))


def top_octave(image: Tensor) -> Tensor:
    """Returns the part of an image (1, 3, H, W) above a quarter of a cycle per pixel.

    Only the spectrum of one channel is in memory at a time.
    """
    height, width = (side + 2 * BORDER for side in image.shape[2:])
    down = torch.fft.fftfreq(height, dtype=torch.float32, device="cpu")
    across = torch.fft.rfftfreq(width, dtype=torch.float32, device="cpu").unsqueeze(1)
    spectrum = torch.empty(height, len(across), dtype=torch.complex64, device=image.device)
    inner, fine = spectrum[BORDER:-BORDER], image.new_empty(image.shape)
    for channel, result in zip(image[0], fine[0], strict=True):
        for x, out in strips(channel, inner):
            out.copy_(torch.fft.rfft(pad(x, [BORDER] * 2, mode="replicate")))
        spectrum[:BORDER], spectrum[-BORDER:] = inner[0], inner[-1]  # the border repeats these rows
        for columns, f in strips(spectrum.mT, across):
            kept = (torch.hypot(down, f) > 0.25).to(image.device)
            columns.copy_(torch.fft.ifft(torch.fft.fft(columns).mul_(kept)))
        for x, out in strips(inner, result):
            out.copy_(torch.fft.irfft(x, n=width)[:, BORDER:-BORDER])
    return fine


def _band_moments(image: Tensor, fine: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Returns covariances (2, 3, 3) and means (2, 3) of an image below and in its top octave `fine`."""

    def moments() -> Iterator[tuple[float, Tensor, Tensor]]:
        for x, f, *areas in strips(image, fine, *([] if mask is None else [mask])):
            weights = areas[0].flatten(1) if areas else None
            share = x[0, 0].numel() if weights is None else float(weights.sum())
            if share:
                (C, μ), (C_fine, μ_fine) = (covariance_mean(b.flatten(2), weights) for b in (x - f, f))
                yield share, torch.cat([C, C_fine]), torch.cat([μ, μ_fine])

    return pool_moments(moments())


def band_covariances(styles: Sequence[Tensor], weights: Sequence[float]) -> list[Tensor]:
    """Returns the covariances (1, 3, 3) of the mixed styles below and in the top octave."""
    mixed = (
        (weight, *_band_moments(style, top_octave(style)))
        for style, weight in zip(styles, weights, strict=True)
        if weight
    )
    return list(pool_moments(mixed)[0].unsqueeze(1))


def limit_variance(image: Tensor, regions: Regions, strength: float) -> Tensor:
    """Limits the variance of the colours and grain of an image (1, 3, H, W) to the style's.

    The optimal map of covariances (alignment/transports.py) changes both bands, below and in the top octave.
    The variance increases in no direction.

    regions: The styles' `band_covariances`. strength: Fraction of the correction, at most 1.
    """
    fine, masks, changes = top_octave(image), _fit_masks(image, regions), []
    for (covariances, _), mask in zip(regions, masks, strict=True):
        found, means = _band_moments(image, fine, mask)
        excess = []
        for own, C, allowance in zip(found.unsqueeze(1), covariances, ALLOWANCE, strict=True):
            more = (_ONE + allowance).to(image)
            values, vectors = torch.linalg.eigh(bures_wasserstein_map(own, more @ C @ more)[0].cpu())
            excess.append(min(1.0, strength) * vectors * (1 - values).clamp(min=0) @ vectors.mT)
        changes.append(partial(_reduce_bands, torch.stack(excess).to(image), means))
    return _write_changes(image, changes, masks, fine)


def _reduce_bands(excess: Tensor, means: Tensor, x: Tensor, fine: Tensor) -> Tensor:
    for E, mean, part in zip(excess, means, (x - fine, fine), strict=True):
        x = x - torch.einsum("ij,bjhw->bihw", E, part - mean.view(1, 3, 1, 1))
    return x


def remove_outlier_colours(image: Tensor, regions: Regions, strength: float, reach: float = REACH) -> Tensor:
    """Moves out-of-palette colours of an image towards the style's nearest colours, in place.

    image: (1, 3, H, W). regions: The styles' `summarize_palette`. strength: At 1, all pixels end within
    `reach` of the palette, at 0.1 within ten times `reach`.
    """
    wide = reach / min(1.0, max(strength, 1e-6))

    def project(palette: Summary, x: Tensor, _: Tensor) -> Tensor:
        return project_to_palette(x.flatten(2), palette, wide / 2, wide).view(x.shape)

    changes = [partial(project, palette) for palette, _ in regions]
    return _write_changes(image, changes, _fit_masks(image, regions), image)


def _fit_masks(image: Tensor, regions: Regions) -> list[Tensor | None]:
    """Returns the regions' masks at the size of the image."""
    size = image.shape[2:]
    return [
        mask if mask is None or mask.shape[2:] == size else interpolate(mask, size, mode="area")
        for _, mask in regions
    ]


def _write_changes(
    image: Tensor,
    changes: Sequence[Callable[[Tensor, Tensor], Tensor]],
    masks: Sequence[Tensor | None],
    result: Tensor,
) -> Tensor:
    """Changes the regions strip by strip, averages overlapping changes, and writes the image into `result`.

    A change is a function of a strip of the image and the same strip of `result`.
    """
    for x, out, *areas in strips(image, result, *(mask for mask in masks if mask is not None)):
        changed = [change(x, out) for change in changes]
        if areas:
            moved = sum(mask * (y - x) for mask, y in zip(areas, changed, strict=True))
            changed = [x + moved / torch.stack(areas).sum(0).clamp_(min=1)]
        out.copy_(changed[0].clamp(0, 1))
    return result
