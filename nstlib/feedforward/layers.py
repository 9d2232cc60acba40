"""The layers of a network for one style, and the two architectures of its body.

    plain_body   z ─► conv ─► conv, stride 2 ─► conv, stride 2 ─► residual blocks ─► ×2, conv ─► ×2, conv
    SkipBody     the same, but each enlargement is bilinear, and the convolution after it also sees the
                 features of this size from before the strided convolutions, which hold details (Ronneberger,
                 Fischer, Brox 2015); one more convolution follows

Instance norm follows every convolution (Ulyanov, Vedaldi, Lempitsky 2016). Upsampling and a convolution avoid
checkerboard artefacts (Odena, Dumoulin, Olah 2016). Nearest-neighbour upsampling still shows pairs of equal
pixels, which bilinear upsampling does not.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

EDGE: Literal["replicate"] = "replicate"  # padding: zeros would show where the border is, as a frame
DTYPE = torch.float32  # of the weights, whatever torch's default is


class OneSidedClamp(torch.autograd.Function):
    """Clamps x to [0, 1]. A value at a bound keeps the gradient that leads back and loses the one that leads
    outwards, as in a run (synthesis/optimize.py). Without any gradient there, dark areas would stay dark."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        outwards = ((x <= 0) & (g > 0)) | ((x >= 1) & (g < 0))  # a step goes against the gradient
        return g.masked_fill(outwards, 0)


class Layer(nn.Module):
    """[×2 →] convolution → instance norm → ReLU."""

    def __init__(self, n: int, m: int, size: int = 3, stride: int = 1, upsample: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n, m, size, stride, size // 2, bias=False, padding_mode=EDGE, dtype=DTYPE)
        # Batch norm of one image is instance norm. InstanceNorm2d's gradients were wrong for channels-last
        # batches, and GroupNorm's take most of a step in bfloat16 (torch 2.13).
        self.norm = nn.BatchNorm2d(m, track_running_stats=False, dtype=DTYPE)
        self.upsample = upsample

    def forward(self, x: Tensor, rectify: bool = True) -> Tensor:
        if self.upsample:
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.normalize(self.conv(x))
        return x.relu_() if rectify else x

    def normalize(self, x: Tensor) -> Tensor:
        if not x.is_cuda or len(x) == 1:
            return torch.cat([self.norm(image) for image in torch.split(x, 1)])
        # on a GPU a loop over images would be most of a step
        return nn.functional.group_norm(x, x.shape[1], self.norm.weight, self.norm.bias, self.norm.eps)


class Residual(nn.Module):
    """x + conv(conv(x)), the second without ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = Layer(width, width), Layer(width, width)
        self.second.norm.register_parameter("bias", None)  # the norms after it would remove it

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.second(self.first(x), rectify=False)
        return result


def plain_body(n: int, blocks: int, ends: int) -> nn.Sequential:
    """z (B, 3, H, W) → features (B, n, H, W), for sides that are multiples of 4."""
    return nn.Sequential(
        Layer(3, n, ends),
        Layer(n, 2 * n, stride=2),
        Layer(2 * n, 4 * n, stride=2),
        *(Residual(4 * n) for _ in range(blocks)),
        Layer(4 * n, 2 * n, upsample=True),
        Layer(2 * n, n, upsample=True),
    )


class SkipBody(nn.Module):
    """The same with skip connections."""

    def __init__(self, n: int, blocks: int, ends: int) -> None:
        super().__init__()
        self.fine, self.middle = Layer(3, n, ends), Layer(n, 2 * n, stride=2)
        self.deep = nn.Sequential(Layer(2 * n, 4 * n, stride=2), *(Residual(4 * n) for _ in range(blocks)))
        self.larger, self.full, self.end = Join(4 * n, 2 * n), Join(2 * n, n), Layer(n, n)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        middle = self.middle(fine)
        result: Tensor = self.end(self.full(self.larger(self.deep(middle), middle), fine))
        return result


class Join(nn.Module):
    """1 × 1 convolution → ×2 → with the skipped features: convolution → instance norm → ReLU."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(n, m, 1, bias=False, dtype=DTYPE)
        self.layer = Layer(2 * m, m)

    def forward(self, x: Tensor, skipped: Tensor) -> Tensor:
        x = nn.functional.interpolate(self.narrow(x), scale_factor=2.0, mode="bilinear")
        result: Tensor = self.layer(torch.cat([x, skipped], 1))
        return result
