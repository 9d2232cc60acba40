"""The layers of a network for one style, and the two architectures of its body.

    plain_body   z ─► conv ─► conv, stride 2 ─► conv, stride 2 ─► residual blocks ─► ×2, conv ─► ×2, conv
    SkipBody     the same with bilinear upsampling, skip connections (Ronneberger, Fischer, Brox 2015) and one
                 more convolution at the end. A skip connection adds the features from before a strided
                 convolution, which hold details, to the input of the convolution after an upsampling.

Instance norm follows every convolution (Ulyanov, Vedaldi, Lempitsky 2016). Upsampling before a convolution
avoids checkerboard artefacts (Odena, Dumoulin, Olah 2016). After nearest-neighbour upsampling, images still
show pairs of equal pixels; after bilinear upsampling they do not.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

EDGE: Literal["replicate"] = "replicate"  # padding; with zeros, the border of an image would show as a frame
DTYPE = torch.float32  # of the weights; torch's default dtype may be a different one


class OneSidedClamp(torch.autograd.Function):
    """Clamps x to [0, 1]. At and beyond a bound, the gradient becomes 0 only if it would move x outwards, as
    in a run (synthesis/optimize.py). If it became 0 in both directions, dark areas would stay dark."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        outwards = ((x <= 0) & (g > 0)) | ((x >= 1) & (g < 0))  # a step moves x by −g
        return g.masked_fill(outwards, 0)


class Layer(nn.Module):
    """Convolution → instance norm → ReLU. With `upsample`, an upsampling by 2 comes first."""

    def __init__(self, n: int, m: int, size: int = 3, stride: int = 1, upsample: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n, m, size, stride, size // 2, bias=False, padding_mode=EDGE, dtype=DTYPE)
        # Batch norm of a single image equals instance norm. In torch 2.13, InstanceNorm2d has wrong gradients
        # for channels-last batches, and the backward pass of GroupNorm takes most of a step in bfloat16.
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
        # on a GPU, a loop over the images would take most of the time of a step
        return nn.functional.group_norm(x, x.shape[1], self.norm.weight, self.norm.bias, self.norm.eps)


class Residual(nn.Module):
    """x + layer(layer(x)). The second layer has no ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = Layer(width, width), Layer(width, width)
        self.second.norm.register_parameter("bias", None)  # later norms would remove a bias

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.second(self.first(x), rectify=False)
        return result


def plain_body(n: int, blocks: int, ends: int) -> nn.Sequential:
    """Returns the body z (B, 3, H, W) → features (B, n, H, W). H and W must be multiples of 4."""
    return nn.Sequential(
        Layer(3, n, ends),
        Layer(n, 2 * n, stride=2),
        Layer(2 * n, 4 * n, stride=2),
        *(Residual(4 * n) for _ in range(blocks)),
        Layer(4 * n, 2 * n, upsample=True),
        Layer(2 * n, n, upsample=True),
    )


class SkipBody(nn.Module):
    """The body of `plain_body`, with bilinear upsampling, skip connections and one more convolution."""

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
    """1 × 1 convolution → bilinear upsampling by 2 → concatenation with the skipped features → `Layer`."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(n, m, 1, bias=False, dtype=DTYPE)
        self.layer = Layer(2 * m, m)

    def forward(self, x: Tensor, skipped: Tensor) -> Tensor:
        x = nn.functional.interpolate(self.narrow(x), scale_factor=2.0, mode="bilinear")
        result: Tensor = self.layer(torch.cat([x, skipped], 1))
        return result
