"""The decoder's convolutions with fewer multiplications, for engines that save none, such as WebAssembly.

×2, 3 × 3       one transposed convolution, 4 × 4 with stride 2: 4 products for a number instead of 9
[x, own] 3 × 3  in a refinement: the half that sees the content's own features is part of content.onnx
3 × 3           of many channels: F(4 × 4, 3 × 3) of Winograd (Lavin and Gray 2016), 36 products for 16
                numbers instead of 144
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad, pixel_shuffle

from nstlib.encoders.boxes import missing
from nstlib.feedforward.decoders import REFINED, WIDTHS, Block, Decoder
from nstlib.feedforward.pipeline import Encoded, OnePass

MANY = 64  # channels from which Winograd's transforms cost less than they save
TILE = 4  # side of the square that Winograd's algorithm computes at once
# Rows of the 4 × 4 kernel that also enlarges by 2, as sums of rows of the 3 × 3 kernel.
ENLARGE = ((0.0, 0, 1), (0, 1, 1), (1, 1, 0), (1, 0, 0))
# Winograd's A [(G g Gᵀ) ∘ (B d Bᵀ)] Aᵀ for a kernel g and a tile d of 6 × 6; 24 G.
A = ((1.0, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
B = (
    (4.0, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
G = ((6.0, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 24))


def layer(block: Block, x: Tensor, index: int) -> Tensor:
    """`Block.layer`."""
    conv: Any = block.convs[index]
    return (enlarge if index == block.upsample_before else convolve)(x, conv.weight, conv.bias)


def prepare(model: OnePass, encoded: Encoded) -> Encoded:
    """Returns `encoded` with the content's part of each refinement in place of the map, for `refine`."""
    maps = list(encoded.maps)
    for level in REFINED:
        first: Any = model.decoder.refining[f"refine{level}"][0]  # type: ignore[index]
        maps[level] = convolve(maps[level], first.weight[:, WIDTHS[level] :], first.bias)
    return replace(encoded, maps=tuple(maps))


def refine(
    decoder: Decoder, x: Tensor, response: Tensor, level: int, methods: Tensor, share: float | Tensor
) -> Tensor:
    """`Decoder.refine`, with what `prepare` stores instead of the content's own features."""
    if level not in REFINED:
        return x
    parts: Any = decoder.refining[f"refine{level}"]
    hidden = response + convolve(x, parts[0].weight[:, : x.shape[1]])
    seen = torch.relu(decoder.tune(hidden, level, methods, share))
    return x + share * convolve(seen, parts[2].weight, parts[2].bias)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 3 × 3 convolution with the decoder's padding."""
    if min(weight.shape[:2]) < MANY:
        return conv2d(pad(x, (1, 1, 1, 1), mode="replicate"), weight, bias)
    (m, n), (height, width) = weight.shape[:2], x.shape[2:]
    x = pad(x, (1, 1 + missing(width, TILE), 1, 1 + missing(height, TILE)), mode="replicate")
    tiles = conv2d(x.transpose(0, 1), both(B).view(36, 1, 6, 6), stride=TILE)  # (n, 36, h, w)
    kernels = (both(G) / 24**2 @ weight.reshape(m * n, 9).T).view(36, m, n)
    products = kernels @ tiles.flatten(2).transpose(0, 1)  # (36, m, h w)
    result = both(A) @ products.transpose(0, 1)  # (m, 16, h w)
    whole = pixel_shuffle(result.reshape(1, -1, *tiles.shape[2:]), TILE)[..., :height, :width]
    return whole if bias is None else whole + bias.view(-1, 1, 1)


def enlarge(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The same of x at twice the size, by nearest neighbours."""
    m, n = weight.shape[:2]
    kernels = (weight.reshape(m * n, 9) @ both(ENLARGE).T).view(m, n, 4, 4).transpose(0, 1)
    return conv_transpose2d(pad(x, (1, 1, 1, 1), mode="replicate"), kernels, bias, stride=2, padding=3)


def both(matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Returns P ⊗ P, which maps a tile X, row after row, to P X Pᵀ."""
    rows = torch.tensor(matrix)
    return torch.kron(rows, rows)
