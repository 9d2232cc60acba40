"""The sizes that a run works through, from coarse to fine, and what moves from one to the next.

A departure from the paper, which runs at full size only: strokes wider than the encoder's view form at
the small sizes, and the large one starts from a good picture (levels=1 is the paper). What moves up a size is
the *change* made to the photograph, so that none of its detail has to be found again.
"""

import math

from torch import Tensor
from torch.nn.functional import interpolate

from nstlib.synthesis.settings import Settings

FULL = 0.7  # share of the steps that are taken at full size
COARSEST = 64  # px: no level's shorter side is below this, so that relu5_1 keeps several positions


def resized(image: Tensor, height: int, width: int) -> Tensor:
    """The image at another size, antialiased, values kept in [0, 1]."""
    if image.shape[2:] == (height, width):
        return image
    return interpolate(image, (height, width), mode="bicubic", antialias=True, align_corners=False).clamp(
        0, 1
    )


def plan(settings: Settings, side: int) -> list[tuple[float, int]]:
    """[(1/4, 12), (1/2, 12), (1, 56)]: sizes as fractions of the full one, where the shorter side is `side`
    pixels, and the steps at each. `FULL` of all steps are taken at full size."""
    coarse = min(settings.levels - 1, max(0, math.floor(math.log2(side / COARSEST))))
    each = int(settings.iterations * (1 - FULL) / coarse) if coarse else 0
    steps = [*[each] * coarse, settings.iterations - each * coarse]
    return [(0.5 ** (coarse - k), n) for k, n in enumerate(steps) if n]


def enlarged(x: Tensor, before: Tensor | None, target: Tensor) -> Tensor:
    """x at the size of `target`. Where x was made from the photograph `before`, and `target` is the same one,
    larger, only the change x − before is enlarged, and added to the target."""
    height, width = target.shape[2:]
    if before is None:
        return resized(x, height, width)
    change = interpolate(x - before, (height, width), mode="bicubic", align_corners=False)
    return (target + change).clamp(0, 1)
