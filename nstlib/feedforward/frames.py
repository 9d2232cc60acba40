"""Pictures and masks at sizes that the network's levels divide."""

from collections.abc import Sequence

from torch import Tensor, nn

STRIDE = 16  # px between positions of relu5_1: pictures are mirrored up to a multiple of it


def mirrored(image: Tensor) -> Tensor:
    """The image continued below and to the right, by its mirror image, to sides that are multiples of 16."""
    down, across = (-side % STRIDE for side in image.shape[2:])
    if not (down or across):
        return image
    small = down >= image.shape[2] or across >= image.shape[3]
    return nn.functional.pad(image, (0, across, 0, down), mode="replicate" if small else "reflect")


def fitted(mask: Tensor, content: Sequence[int], size: Sequence[int]) -> Tensor:
    """A mask (1, 1, h, w) at the size of the content, continued like it to `size`."""
    mask = nn.functional.interpolate(mask, tuple(content), mode="bilinear", antialias=True)
    down, across = size[0] - content[0], size[1] - content[1]
    return nn.functional.pad(mask, (0, across, 0, down), mode="replicate")


def region_at(mask: Tensor, size: Sequence[int]) -> Tensor:
    """How much of each position of a map of `size` lies in the mask: (1, 1, H, W) → (M)."""
    if mask.shape[2:] != size:
        mask = nn.functional.adaptive_avg_pool2d(mask, (size[0], size[1]))
    return mask.flatten()
