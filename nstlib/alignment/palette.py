"""The palette discrepancy, which pulls every pixel towards the nearest colour of the style.

Means and covariances do not exclude colours between those of the style: for a style of red and white, pink
lies within their spread. So this discrepancy compares every pixel with the *nearest* colour of the style,

    mean_i (‖f_i − n(f_i)‖ − tolerance)₊²,        n(f) the nearest colour, (x)₊ = max(x, 0),

which is one side of a Chamfer distance. It limits which colours occur, but not how often they occur. The
paper has no such term. n comes from a table over the RGB cube, made once per style. The table uses the
distance √(2 Δr² + 4 Δg² + 3 Δb²), whose usual weights approximate visible differences. For this distance, one
pass along each axis of the cube finds n, as in a distance transform.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nstlib.alignment.discrepancy import Discrepancy, Summary
from nstlib.alignment.moments import normalize_weights
from nstlib.alignment.options import NOT_NEGATIVE
from nstlib.version import rename_arguments

CELLS = 32  # cells of the table along each side of the cube
CHUNK = 1 << 16  # pixels that are added up in float32 at a time
SEEN = (2, 4, 3)  # weights of squared differences of red, green and blue
FAR = 1 << 30  # marks cells without a colour in `_nearest`; sums with it stay below 2³¹


class MeanExcess(torch.autograd.Function):
    """Σ p (‖f − n‖ − t)₊² over pixels F (1, 3, M) with targets n and shares p (1, M), or 1/M if p is None.

    The forward pass also computes the gradient for F, 2 p (1 − t/‖f − n‖)₊ (f − n)."""

    @staticmethod
    def forward(ctx: Any, F: Tensor, target: Tensor, tolerance: float, p: Tensor | None) -> Tensor:
        offset = F - target
        far = offset.square().sum(-2, keepdim=True).sqrt_()
        excess = (far - tolerance).clamp_(min=0)
        each: Tensor | float = 1 / F.shape[-1] if p is None else p.view_as(far)
        ctx.save_for_backward(offset.mul_(2 * each * excess / far.clamp_(min=1e-12)))
        return (excess.square_() * each).sum((-2, -1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * g[..., None, None], None, None, None


@rename_arguments(free="tolerance")
@dataclass(frozen=True)
class Palette(Discrepancy):
    """mean (‖f − n(f)‖ − tolerance)₊², which is 0 for an image in the style's colours. It is not symmetric.

    Features are the pixels of one image, (1, 3, M) or (3, M), RGB in [0, 1]. Other shapes raise ValueError.

    Args:
        tolerance: RGB distance from n(f) up to which a pixel costs nothing. ValueError if negative.
    """

    name, limits = "palette", {"tolerance": NOT_NEGATIVE}
    tolerance: float = 0.02

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        """Returns {"nearest": (3, CELLS³)}, the style's nearest colour for every cell of the cube.

        The colours are the means of the style's pixels in each cell. Pixels of weight 0 are left out.
        """
        pixels = _pixels(S)
        if weights is not None:
            pixels = pixels[:, normalize_weights(S, weights).flatten() > 0]
        sums = torch.zeros(CELLS**3, 4, dtype=torch.float64, device="cpu")
        for part in torch.split(pixels, CHUNK, 1):
            found = torch.zeros(sums.shape, dtype=S.dtype, device=S.device)
            found.index_add_(0, _cell(part), torch.cat([part, torch.ones_like(part[:1])]).mT)
            sums += found.cpu()
        cells = sums[:, 3].nonzero().squeeze(1)
        own = (sums[cells, :3] / sums[cells, 3:]).to(S.dtype)  # (colours, 3)
        return {"nearest": own[_nearest(cells)].mT.contiguous().to(S.device)}

    def embed(self, F: Tensor, summary: Summary, weights: Tensor | None = None) -> Summary:
        p = None if weights is None else normalize_weights(F, weights)
        found: Tensor = MeanExcess.apply(F, nearest(F, summary), self.tolerance, p)  # type: ignore[no-untyped-call]
        return {"excess": found}

    def compare(self, embedding: Summary, summary: Summary) -> Tensor:
        return embedding["excess"]


def nearest(F: Tensor, summary: Summary) -> Tensor:
    """Returns n(f) for every pixel, in the shape (..., 3, M) of F and without gradient."""
    return summary["nearest"].index_select(1, _cell(_pixels(F.detach()))).view(F.shape)


def project_to_palette(F: Tensor, summary: Summary, knee: float, reach: float) -> Tensor:
    """Moves pixels (1, 3, M) towards n(f) until their RGB distance from n(f) is at most `reach`. Pixels
    within `knee` of n(f) stay unchanged, as in gamut mapping for printers."""
    target = nearest(F, summary)
    offset, bend = F - target, reach - knee
    far = offset.square().sum(-2, keepdim=True).sqrt_()
    allowed = knee + bend * (1 - torch.exp((knee - far) / bend))
    return torch.where(far > knee, target + offset * (allowed / far), F)


def _nearest(cells: Tensor) -> Tensor:
    """Returns the index of the nearest entry of `cells`, which hold colours, for every cell of the cube.

    Each entry of `cube` is CELLS³ times a squared distance plus the rank of the colour at that distance, so
    one minimum finds both. Among equally near colours, the first by blue, green and red is taken.
    """
    count = CELLS**3
    order = (cells % CELLS * CELLS**2 + cells // CELLS % CELLS * CELLS + cells // CELLS**2).argsort()
    cube = torch.full((CELLS,) * 3, FAR, dtype=torch.int32, device="cpu")
    cube.view(-1)[cells[order]] = torch.arange(len(cells), dtype=torch.int32, device="cpu")
    steps = torch.arange(CELLS, dtype=torch.int32, device="cpu")
    apart = count * (steps.unsqueeze(0) - steps.unsqueeze(1)).square()
    for axis, weight in enumerate(SEEN):  # cube[i] ← min over j of cube[j] + weight (i − j)²
        costs = cube.movedim(axis, 0).contiguous() + weight * apart[..., None, None]  # (i, j, …)
        cube = costs.amin(1).movedim(0, axis)
    return order[cube.flatten() % count]


def _pixels(F: Tensor) -> Tensor:
    if F.shape[-2] != 3 or F[..., 0, 0].numel() != 1:
        raise ValueError(f"a palette is of the pixels (1, 3, M) of one image, got {tuple(F.shape)}")
    return F.reshape(3, F.shape[-1])


def _cell(pixels: Tensor) -> Tensor:
    """Returns the index of each pixel's cell: (3, M) → (M). Floats hold these whole numbers exactly."""
    r, g, b = (pixels * (CELLS - 1)).round_().clamp_(0, CELLS - 1)
    cells: Tensor = r.mul_(CELLS).add_(g).mul_(CELLS).add_(b).int()
    return cells
