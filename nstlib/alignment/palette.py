"""The palette: pulls every pixel towards the nearest colour of the style, whatever the method.

Means and covariances of colour allow colours between the style's own: pink is a mean of red and white and
lies within their spread. So here every pixel is pulled to the *nearest* colour of the style,

    mean_i (‖f_i − n(f_i)‖ − tolerance)₊²,        n(f) the nearest of the style's colours,

one side of a Chamfer distance. It says which colours may be used, not how often: that is left to a
discrepancy. It is not one of the paper's methods. n is looked up in a table over the RGB cube, made once per
style; the distance there is √(2 Δr² + 4 Δg² + 3 Δb²), the usual weights of visible differences, because then
a separable pass along each axis of the cube finds n (as in a distance transform).
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

CELLS = 32  # of the table, along each side of the cube
CHUNK = 1 << 16  # pixels that are added up in float32 at a time
SEEN = (2, 4, 3)  # weights of squared differences of red, green and blue
FAR = 1 << 30  # for `_nearest`; with all that is added it stays below 2³¹


class MeanExcess(torch.autograd.Function):
    """Σ p (‖f − n‖ − t)₊² over pixels F (1, 3, M) with targets n, shares p (1, M) or 1/M; gradient for F.

    The gradient, 2 p (1 − t/‖f − n‖)₊ (f − n), is computed in the same pass."""

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
    """mean (‖f − n(f)‖ − tolerance)₊²: 0 for an image in the style's colours. One-sided: not symmetric.

    Features are the pixels of one image, (1, 3, M) or (3, M), RGB in [0, 1]; ValueError for others.

    Args:
        tolerance: a pixel costs nothing up to this RGB distance ≥ 0 from n(f); ValueError for other values.
    """

    name, limits = "palette", {"tolerance": NOT_NEGATIVE}
    tolerance: float = 0.02

    def summary(self, S: Tensor, weights: Tensor | None = None) -> Summary:
        """{"nearest": (3, CELLS³)}: for every cell of the cube the style's nearest colour.

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
    """n(f) for every pixel: (..., 3, M) → the same shape, a constant to the gradient."""
    return summary["nearest"].index_select(1, _cell(_pixels(F.detach()))).view(F.shape)


def project_to_palette(F: Tensor, summary: Summary, knee: float, reach: float) -> Tensor:
    """Moves pixels (1, 3, M) towards n(f) until all are within `reach` of it (RGB). Those within `knee` stay,
    as in gamut mapping for a printer."""
    target = nearest(F, summary)
    offset, bend = F - target, reach - knee
    far = offset.square().sum(-2, keepdim=True).sqrt_()
    allowed = knee + bend * (1 - torch.exp((knee - far) / bend))
    return torch.where(far > knee, target + offset * (allowed / far), F)


def _nearest(cells: Tensor) -> Tensor:
    """For every cell of the cube the index in `cells` (those that hold colours) of the nearest one.

    Each number of the cube is CELLS³ times a squared distance plus the rank of the colour at that distance.
    So a minimum finds both. Of equally near colours the first one by blue, green and red is taken.
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
    """The index of each pixel's cell: (3, M) → (M). In place, in whole numbers that floats hold exactly."""
    r, g, b = (pixels * (CELLS - 1)).round_().clamp_(0, CELLS - 1)
    cells: Tensor = r.mul_(CELLS).add_(g).mul_(CELLS).add_(b).int()
    return cells
