"""The repository's example pictures as squares of any size, for benchmarks."""

from pathlib import Path

from torch import Tensor
from torch.nn.functional import interpolate

import nstlib

EXAMPLES = Path(__file__).parent.parent / "examples"


def square(name: str, size: int) -> Tensor:
    """The picture "contents/harbour" or the like, its middle cut out and scaled to size × size px."""
    image = nstlib.load_image(EXAMPLES / f"{name}.jpg")
    side = min(image.shape[2:])
    top, left = ((n - side) // 2 for n in image.shape[2:])
    image = image[..., top : top + side, left : left + side]
    return interpolate(image, (size, size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
