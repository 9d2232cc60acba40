"""The baseline for images: our reimplementation of crowsonkb/style-transfer-pytorch, on our encoder.

Gaussian Wasserstein-2 of means and covariances, divided by N; layer weights 256 : 64 : 16 : 4 : 1, shallow to
deep; content as a plain mean squared error, weight 0.015; total variation over eight neighbours, weight 2.
Adam with lr 0.02, whose moments are resized with the image; sizes √2 apart from 128 px, 1000 steps at the
first and 500 at each other; the result is an exponential average of the iterates. All numbers are its
defaults.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import interpolate, mse_loss, pad

import nstlib
from nstlib.synthesis.pyramid import resize_image

WEIGHTS = (256, 64, 16, 4, 1)
CONTENT, VARIATION = 0.015, 2.0
FIRST, STEPS_FIRST, STEPS = 128, 1000, 500
RATE, BETAS, AVERAGE = 0.02, (0.9, 0.99), 0.99


def sizes(size: int) -> list[int]:
    """Returns the sizes up to `size`, each √2 times the one before: [128, 181, 256] for 256."""
    smaller = math.ceil(2 * math.log2(size / FIRST) - 1e-9)
    return [round(size / 2 ** (k / 2)) for k in range(max(0, smaller), -1, -1)]


def variation(x: Tensor) -> Tensor:
    """Returns squared differences to the eight neighbours; diagonal ones count a quarter."""
    x = pad(x, [1] * 4, mode="replicate")
    straight = x.diff(dim=-1)[..., 1:-1, 1:].square().mean() + x.diff(dim=-2)[..., 1:, 1:-1].square().mean()
    falling = (x[..., 1:, 1:] - x[..., :-1, :-1]).square().mean()
    rising = (x[..., 1:, :-1] - x[..., :-1, 1:]).square().mean()
    return 2 * (straight / 3 + (falling + rising) / 12)


class CarriedAdam:
    """Adam for one image that may grow."""

    def __init__(self, x: Tensor) -> None:
        self.mean = self.square = torch.zeros_like(x)
        self.count = 0

    def grow(self, shape: list[int]) -> None:
        self.mean = interpolate(self.mean, shape, mode="bicubic", align_corners=False)
        self.square = interpolate(self.square, shape, mode="bilinear", align_corners=False).clamp(min=0)

    def __call__(self, gradient: Tensor) -> Tensor:
        self.count += 1
        self.mean = BETAS[0] * self.mean + (1 - BETAS[0]) * gradient
        self.square = BETAS[1] * self.square + (1 - BETAS[1]) * gradient.square()
        mean, square = self.mean / (1 - BETAS[0] ** self.count), self.square / (1 - BETAS[1] ** self.count)
        return -RATE * mean / (square.sqrt() + 1e-8)


def transfer(content: Tensor, style: Tensor, encoder: nstlib.encoders.Encoder) -> Iterator[Tensor]:
    """Yields the averaged image after every step; the last one is the result."""
    d, layers = nstlib.alignment.Wasserstein(ridge=1e-4), encoder.style_layers
    full, x, advance = max(content.shape[2:]), None, None
    for index, side in enumerate(sizes(full)):
        shape = [max(16, round(n * side / full)) for n in content.shape[2:]]
        target = resize_image(content, *shape)
        small = resize_image(style, *(max(16, round(n * side / full)) for n in style.shape[2:]))
        if x is None or advance is None:
            x = target.clone()
            advance = CarriedAdam(x)
        else:
            x = interpolate(average, shape, mode="bicubic", align_corners=False).clamp(0, 1)  # noqa: F821
            advance.grow(shape)
        with torch.no_grad():
            summaries = {layer: d.summary(S) for layer, S in encoder(small, layers).items()}
            P = encoder(target, [encoder.content_layer])[encoder.content_layer]
        total, weight = torch.zeros_like(x), 0.0
        for _ in range(STEPS if index else STEPS_FIRST):
            x.requires_grad_(True)
            F = encoder(x, [*layers, encoder.content_layer])
            loss = CONTENT * mse_loss(F[encoder.content_layer], P) + VARIATION * variation(x)
            for w, layer in zip(WEIGHTS, layers, strict=True):
                distance = d.distance(F[layer], summaries[layer]).sum() / encoder.channels[layer]
                loss = loss + w / sum(WEIGHTS) * distance
            (gradient,) = torch.autograd.grad(loss, x)
            x = (x.detach() + advance(gradient)).clamp(0, 1)
            total, weight = AVERAGE * total + (1 - AVERAGE) * x, AVERAGE * weight + 1 - AVERAGE
            average = total / weight
            yield average
