"""The decoder's convolutions with fewer multiplications, for runtimes without fast ones, such as WebAssembly.

Convolutions with many channels use Winograd's algorithm F(4 × 4, 3 × 3) (Lavin and Gray 2016). It computes 16
outputs with 36 instead of 144 products.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad, pixel_shuffle

from nstlib.encoders.boxes import missing
from nstlib.feedforward.decoders import convolve as direct

MANY = 64  # least number of channels for which Winograd's algorithm saves more than its transforms cost
TILE = 4  # side of the square that Winograd's algorithm computes at once
# Winograd's algorithm computes A [(G g Gᵀ) ∘ (B d Bᵀ)] Aᵀ for a kernel g and a tile d of 6 × 6. The G below
# is 24 times the G of this formula.
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


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Computes the same as `decoders.convolve`."""
    if min(weight.shape[:2]) < MANY:
        return direct(x, weight, bias)
    (m, n), (height, width) = weight.shape[:2], x.shape[2:]
    x = pad(x, (1, 1 + missing(width, TILE), 1, 1 + missing(height, TILE)), mode="replicate")
    tiles = conv2d(x.transpose(0, 1), both(B).view(36, 1, 6, 6), stride=TILE)  # (n, 36, h, w)
    kernels = (both(G) / 24**2 @ weight.reshape(m * n, 9).T).view(36, m, n)
    products = kernels @ tiles.flatten(2).transpose(0, 1)  # (36, m, h w)
    result = both(A) @ products.transpose(0, 1)  # (m, 16, h w)
    whole = pixel_shuffle(result.reshape(1, -1, *tiles.shape[2:]), TILE)[..., :height, :width]
    return whole if bias is None else whole + bias.view(-1, 1, 1)


def both(matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Returns P ⊗ P, which maps a tile X, flattened row by row, to P X Pᵀ."""
    rows = torch.tensor(matrix)
    return torch.kron(rows, rows)
