"""The palette: which colours a style has at all, whatever a method sees of its features.

Statistics of colour leave colours between the style's own: pink beside red and white has their mean and lies
within their spread. So here every pixel is pulled to the *nearest* colour of the style,

    mean_i (‖f_i − n(f_i)‖ − free)₊²,        n(f) the nearest of the style's colours, in CIE Lab,

one side of a Chamfer distance. It says which colours may be used, not how often: that is a discrepancy's
part. Not one of the paper's methods. n is looked up in a table over the RGB cube, made once per style.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.moments import mean, shares

CELLS = 32  # of the table, along each side of the cube
CHUNK = 1024  # cells compared with all the style's colours at a time


def lab(rgb: Tensor) -> Tensor:
    """sRGB in [0, 1] (..., 3) → CIE L*a*b* (..., 3), white D65: equal steps look about equally far."""
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055).clamp(min=0) ** 2.4, rgb / 12.92)
    to_xyz = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).to(
        rgb
    )
    xyz = linear @ (to_xyz / to_xyz.sum(1, keepdim=True)).mT
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=1e-9) ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


@dataclass(frozen=True)
class Palette(Discrepancy):
    """mean (‖f − n(f)‖ − free)₊² for pixels F (1, 3, M) or (3, M), RGB in [0, 1]: 0 for a picture in the
    style's colours. free: RGB distance from the nearest colour that costs nothing. One-sided: not symmetric.
    """

    free: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.free < float("inf"):
            raise ValueError(f"the palette's free distance must be a finite number >= 0, got {self.free}")

    def __str__(self) -> str:
        return "palette"

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        """{"nearest": (3, CELLS³)}: for every cell of the cube the style's nearest colour.

        The colours are the means of the style's pixels in each cell. Pixels of weight 0 are not there.
        """
        pixels = _pixels(S)
        if weights is not None:
            pixels = pixels[:, shares(S, weights).flatten() > 0]
        cells, cell = torch.unique(_cell(pixels), return_inverse=True)
        sums = torch.zeros(len(cells), 4, dtype=S.dtype, device=S.device)
        sums.index_add_(0, cell, torch.cat([pixels, torch.ones_like(pixels[:1])]).mT)
        own = sums[:, :3] / sums[:, 3:]  # (colours, 3)
        axis = torch.linspace(0, 1, CELLS, dtype=S.dtype, device=S.device)
        cube, targets = lab(torch.cartesian_prod(axis, axis, axis)), lab(own)
        # argmin ‖cube − target‖²; ‖cube‖² is the same for all targets
        half = targets.square().sum(1) / 2
        nearest = torch.cat(
            [torch.addmm(half, part, targets.mT, alpha=-1).argmin(1) for part in torch.split(cube, CHUNK)]
        )
        return {"nearest": own[nearest].mT.contiguous()}

    def distance(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Tensor:
        far = (F - nearest(F, summary)).square().sum(-2, keepdim=True)  # (..., 1, M)
        excess = (far.clamp(min=1e-12).sqrt() - self.free).clamp(min=0).square()
        return mean(excess, weights).squeeze(-1)


def nearest(F: Tensor, summary: Summary) -> Tensor:
    """n(f) for every pixel: (..., 3, M) → the same shape, a constant to the gradient."""
    return summary["nearest"][:, _cell(_pixels(F.detach()))].view(F.shape)


def confined(F: Tensor, summary: Summary, knee: float, reach: float) -> Tensor:
    """Pixels moved towards n(f) until all are within `reach` of it (RGB), those within `knee` not at all:
    as a printer's colours are brought into its gamut. (..., 3, M) → the same shape."""
    target = nearest(F, summary)
    offset = F - target
    far = offset.norm(dim=-2, keepdim=True).clamp(min=1e-12)
    room = reach - knee
    allowed = torch.where(far > knee, knee + room * (1 - torch.exp((knee - far) / room)), far)
    moved: Tensor = target + offset * (allowed / far)
    return moved


def _pixels(F: Tensor) -> Tensor:
    if F.shape[-2] != 3 or F[..., 0, 0].numel() != 1:
        raise ValueError(f"a palette is of the pixels (1, 3, M) of one picture, got {tuple(F.shape)}")
    return F.reshape(3, F.shape[-1])


def _cell(pixels: Tensor) -> Tensor:
    """The index of each pixel's cell: (3, M) → (M)."""
    r, g, b = (pixels * (CELLS - 1)).round().clamp(0, CELLS - 1).long()
    cells: Tensor = (r * CELLS + g) * CELLS + b
    return cells
