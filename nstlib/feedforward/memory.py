"""How much memory one forward pass will need, told before it starts: measured, unlike a run's."""

import math
from collections.abc import Sequence

import torch

from nstlib.alignment.central import Coral
from nstlib.alignment.discrepancy import BNStatistics, Discrepancy, LinearMMD, PolynomialMMD
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.wasserstein import Wasserstein
from nstlib.encoders.encoder import Encoder
from nstlib.synthesis.memory import base, require
from nstlib.synthesis.settings import Settings

# Bytes of one pass, measured at 256 to 1536 px in both dtypes: for each pixel of the content; for each pixel
# of the largest style; for each further style of a mixture, all of which are held at once; for each mask.
BY_MOMENTS, BY_POSITIONS = (850, 330, 400), (1750, 1150, 1650)  # methods that move moments, or every position
MASK = 60
NETWORK = 32  # bytes of a network for one style, for each pixel and first channel, measured in the same way
MOMENTS = (LinearMMD, BNStatistics, PolynomialMMD, Wasserstein, Coral, GaussianMMD)


def estimate_pass(
    d: Discrepancy,
    encoder: Encoder,
    content: Sequence[float],
    style: Sequence[float],
    styles: int,
    masks: int,
) -> float:
    """Bytes of the process at the peak of one pass by the method `d`, as `estimate` counts them.

    content, style: (height, width) of the content and of the largest style. styles, masks: their numbers.
    """
    moments = all(isinstance(part, MOMENTS) for part, _ in d.parts())
    painting, encoding, mixing = BY_MOMENTS if moments else BY_POSITIONS
    of_content = (painting + masks * MASK) * math.prod(content)
    of_styles = (encoding + (0 if masks else styles - 1) * mixing) * math.prod(style)
    return base(encoder.device) + max(of_content, of_styles)


def check_pass(
    settings: Settings, encoder: Encoder, content: Sequence[int], styles: Sequence[Sequence[int]], masks: int
) -> None:
    """Raises MemoryError, as `synthesis.memory.settle` does, where one pass would not fit.

    content, styles: (height, width) of the images; settings.style_scale resizes the styles.
    """

    def need(content: Sequence[int], style: Sequence[int]) -> float:
        scaled = [side * settings.style_scale for side in style]
        return estimate_pass(settings.discrepancy, encoder, content, scaled, len(styles), masks)

    require(need, encoder.device, content, max(styles, key=math.prod), "one pass", "take fewer styles")


def estimate_network(width: int, device: torch.device, size: Sequence[int]) -> float:
    """Bytes of the process at the peak of a network for one style, as `estimate` counts them.

    width: channels of its first convolution. size: (height, width) of the image.
    """
    return base(device) + NETWORK * width * math.prod(size)


def check_network(width: int, device: torch.device, size: Sequence[int]) -> None:
    """Raises MemoryError, as `settle` does, where a network for one style would not fit."""

    def need(size: Sequence[int], _: Sequence[int]) -> float:
        return estimate_network(width, device, size)

    require(need, device, size, size, "the network", "cut the image into parts")
