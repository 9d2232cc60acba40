"""The sizes of a run, from coarse to fine, and the start image of each size.

The paper runs at full size only (levels=1). With more sizes, the small sizes produce strokes that are wider
than the encoder's receptive field, and the full size starts from a good image. A larger size starts from the
content at that size, to which the enlarged difference between the smaller result and the smaller content is
added. So no detail of the content is lost.
"""

import math

from torch import Tensor
from torch.nn.functional import interpolate

from nstlib.synthesis.settings import Settings

FULL = 0.7  # share of the steps that are taken at full size
FEWEST = 4  # fewest steps at each smaller size, unless the run is too short; fewer would spoil faces
LARGE = 1024  # px of the shorter side, beyond which every doubling adds a size
COARSEST = 64  # px: minimum of the shorter side at the coarsest size, so that relu5_1 keeps several positions


def resize_image(image: Tensor, height: int, width: int) -> Tensor:
    """Returns the resized image, antialiased, with values in [0, 1]."""
    if image.shape[2:] == (height, width):
        return image
    resized = interpolate(image, (height, width), mode="bicubic", antialias=True, align_corners=False)
    return resized.clamp_(0, 1)


def resize_mask(mask: Tensor, image: Tensor) -> Tensor:
    """Returns a mask (1, 1, H, W) at the size of an image, antialiased, with values >= 0."""
    size = image.shape[2:]
    mask = interpolate(mask.to(image), size, mode="bilinear", antialias=True, align_corners=False)
    return mask.clamp_(min=0)


def scale_image(image: Tensor, scale: float) -> Tensor:
    """Returns the image at `scale` times its size."""
    return resize_image(image, *(max(1, round(side * scale)) for side in image.shape[2:]))


def schedule(settings: Settings, side: int) -> list[tuple[float, int]]:
    """Returns the sizes as fractions of the full size, and their steps: [(1/4, 12), (1/2, 12), (1, 56)].

    Args:
        side: The shortest side of the content and the resized styles, in pixels.
    """
    more = max(0, math.ceil(math.log2(side / LARGE))) if settings.levels > 1 else 0
    coarse = min(settings.levels - 1 + more, max(0, math.floor(math.log2(side / COARSEST))))
    each = int(settings.iterations * (1 - FULL) / coarse) if coarse else 0
    each = max(each, FEWEST if settings.iterations >= 3 * FEWEST * coarse else 0)
    steps = [*[each] * coarse, settings.iterations - each * coarse]
    return [(0.5 ** (coarse - k), n) for k, n in enumerate(steps) if n]


def upsample_change(x: Tensor, before: Tensor | None, target: Tensor) -> Tensor:
    """Returns x at the size of `target`.

    `before` is the image from which x was made, and `target` is that image at a larger size. Only the change
    x − before is enlarged and added to the target. Without `before`, x itself is enlarged.
    """
    height, width = target.shape[2:]
    if before is None:
        return resize_image(x, height, width)
    change = interpolate(x - before, (height, width), mode="bicubic", align_corners=False)
    return change.add_(target).clamp_(0, 1)
