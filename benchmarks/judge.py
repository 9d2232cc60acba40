"""Scores of a stylized image that do not depend on the encoder of the run.

palette   distance in Lab of every pixel to the nearest pixel of the style: out-of-palette colours
grain     power in the top octave of frequencies, of luminance and of chroma
edges     correlation with the content's edges
texture   distance of feature statistics, by an encoder that no run used
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import conv2d, pad

import nstlib
from nstlib.encoders import networks
from nstlib.synthesis.pyramid import resize_image

SIDE = 256  # px: the longest side at which colours are compared
BLOCK = 64  # px: side of the blocks whose spectra are averaged
FAR = 10.0  # in Lab: everybody sees that two colours differ


def lab(image: Tensor) -> Tensor:
    """Converts sRGB (1, 3, H, W) in [0, 1] to CIE L*a*b* (3, H, W), white D65."""
    rgb = image[0].double()
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055).pow(2.4))
    to_xyz = torch.tensor(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    ).to(rgb)
    x, y, z = torch.einsum("ij,jhw->ihw", to_xyz / to_xyz.sum(1, keepdim=True), linear)
    fx, fy, fz = (torch.where(t > 216 / 24389, t.pow(1 / 3), (24389 / 27 * t + 16) / 116) for t in (x, y, z))
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)]).float()


def small(image: Tensor) -> Tensor:
    scale = min(1.0, SIDE / max(image.shape[2:]))
    return resize_image(image, *(max(1, round(side * scale)) for side in image.shape[2:]))


def colours(image: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the different 8-bit colours of an image as Lab (n, 3), and their numbers of pixels (n)."""
    pixels = image.mul(255).round().flatten(2)[0].mT  # (M, 3)
    unique, counts = pixels.unique(dim=0, return_counts=True)
    return lab(unique.mT[None, :, :, None] / 255)[..., 0].mT.contiguous(), counts


def off_palette(image: Tensor, style: Tensor) -> tuple[float, float, float]:
    """Returns the CIE76 distance of pixels to the style's nearest: mean, 99th percentile, share above 10."""
    (own, counts), (allowed, _) = colours(small(image)), colours(small(style))
    nearest = torch.full((len(own),), torch.inf)
    for part, least in zip(own.split(512), nearest.split(512), strict=True):  # tiles that stay in the cache
        for block in allowed.split(2048):
            torch.minimum(least, (block.square().sum(1) - 2 * part @ block.mT).amin(1), out=least)
    distances = (nearest + own.square().sum(1)).clamp(min=0).sqrt().repeat_interleave(counts)
    return float(distances.mean()), float(distances.quantile(0.99)), float((distances > FAR).double().mean())


def grain(image: Tensor) -> tuple[float, float]:
    """Returns the power per pixel above a quarter of a cycle per pixel: of L*, and of a* and b* together.

    Welch's estimate (1967): the mean over half overlapping blocks, each under a Hann window. In one window
    over the whole image, the central quarter of the area would have 85 % of the weight."""
    side = min(BLOCK, *image.shape[2:])
    window = torch.hann_window(side).unsqueeze(1) * torch.hann_window(side)
    f = torch.hypot(torch.fft.fftfreq(side).unsqueeze(1), torch.fft.fftfreq(side).unsqueeze(0))
    blocks = lab(image).unfold(1, side, side // 2).unfold(2, side, side // 2).flatten(1, 2)
    blocks = (blocks - blocks.mean((-2, -1), keepdim=True)) * window  # (3, n, side, side)
    power = torch.fft.fft2(blocks).abs().square()[..., f >= 0.25].sum(-1).mean(1)  # (3)
    L, a, b = (power / (window.square().sum() * side**2)).tolist()
    return L, a + b


def edges(image: Tensor, content: Tensor) -> float:
    """Returns the correlation of edge strengths (Sobel, on L*) in both images: 1 is unchanged."""
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = torch.stack([sobel, sobel.mT]).unsqueeze(1)
    strengths = [
        conv2d(pad(lab(x)[None, :1], [1] * 4, mode="replicate"), kernels).norm(dim=1).flatten()
        for x in (image, content)
    ]
    return float(torch.corrcoef(torch.stack(strengths))[0, 1])


def texture(encoder: nstlib.encoders.Encoder, image: Tensor, style: Tensor) -> float:
    """Returns the mean over layers of ‖G − A‖² / ‖A‖², Gram matrices of an encoder other than the run's."""
    d = nstlib.PolynomialMMD()
    F, S = (encoder(x, encoder.style_layers) for x in (image, style))
    ratios = [
        d(F[layer], S[layer]) / d.summary(S[layer])["gram"].square().sum() for layer in encoder.style_layers
    ]
    return float(torch.stack(ratios).mean())


def judge_encoder(weights: Path | None) -> nstlib.encoders.Encoder:
    """Returns VGG-19 with random weights or those of a file: `conv0` (1 × 1, RGB to the network's input),
    then
    `conv11` … `conv51`, as .weight and .bias."""
    if weights is None:
        return nstlib.load_encoder("vgg19-random", dtype="auto")
    state = load_file(weights)
    names = [
        f"conv{b}{i}"
        for b, depth in enumerate(networks.VGG_DEPTHS["vgg19-slim"], 1)
        for i in range(1, depth + 1)
    ]
    kernels = [(state[f"{name}.weight"], state[f"{name}.bias"]) for name in names]
    colour, shift = state["conv0.weight"][:, :, 0, 0], state["conv0.bias"]
    weight, bias = kernels[0]  # conv11 after conv0 is one convolution
    kernels[0] = (
        torch.einsum("ochw,ci->oihw", weight, colour),
        bias + torch.einsum("ochw,c->o", weight, shift),
    )
    network = networks.vgg(
        networks.VGG_DEPTHS["vgg19-slim"], kernels, "max", mean=torch.zeros(3), std=torch.ones(3), padding=16
    )
    return nstlib.encoders.Encoder("judge", network, "", torch.device("cpu"))


@dataclass(frozen=True)
class Verdict:
    """All scores of one image. Grain is relative to the style's."""

    mean: float
    p99: float
    share: float
    luminance: float
    chroma: float
    edges: float
    texture: float

    def __str__(self) -> str:
        return (
            f"{self.mean:5.1f} {self.p99:5.1f} {self.share:6.1%}  {self.luminance:5.2f} {self.chroma:5.2f}  "
            f"{self.edges:5.2f}  {self.texture:6.3f}"
        )


HEADER = " mean   p99    >10  grain chroma  edges texture"


def judge(image: Tensor, content: Tensor, style: Tensor, encoder: nstlib.encoders.Encoder) -> Verdict:
    ours, theirs = grain(image), grain(style)
    ratios = [a / max(b, 1e-6) for a, b in zip(ours, theirs, strict=True)]
    with torch.no_grad():
        return Verdict(
            *off_palette(image, style), *ratios, edges(image, content), texture(encoder, image, style)
        )
