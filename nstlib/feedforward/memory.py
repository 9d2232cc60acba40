"""The memory that one pass needs, estimated before it starts, and the tiles that keep it within a budget."""

import math
from collections.abc import Sequence

from nstlib.alignment.discrepancy import BNStatistics, LinearMMD, PolynomialMMD
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.wasserstein import Coral, Wasserstein
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.decoders import LEVELS
from nstlib.synthesis import memory
from nstlib.synthesis.settings import Settings

# Bytes, as benchmarks/memory.py measures them: per pixel of the content, per pixel of the largest style, and
# per pixel of each further style of a mixture, since all of them are held at once; and per mask and pixel.
BY_MOMENTS, BY_POSITIONS = (270, 260, 400), (1750, 1150, 1650)  # methods that map moments, or every position
MAPS = 130  # more per pixel of the content, for each byte of a number in the maps of the former
MASK = 60
STORED = 3  # shallowest level that a pass in tiles stores; relu1_1 and relu2_1 have 6 times its numbers
TILES = (512, 256)  # px
# In tiles: bytes per pixel of the content for images, and per pixel of a tile with its halo; px of both halos
IN_TILES, TILE, HALO = 40, 1000, 240
MOMENTS = (LinearMMD, BNStatistics, PolynomialMMD, Wasserstein, Coral, GaussianMMD)


def estimate_pass(
    settings: Settings,
    encoder: Encoder,
    content: Sequence[int],
    style: Sequence[int],
    styles: int = 1,
    masks: int = 0,
    tile: int | None = None,
) -> float:
    """Returns the bytes of the process at the peak of one pass by the settings' method.

    Args:
        content: its (height, width). style: that of the largest style, before `settings.style_scale`.
        styles, masks: their numbers.
        tile: side of the tiles in pixels; None: the whole image at once.
    """
    by_moments = all(isinstance(part, MOMENTS) for part, _ in settings.discrepancy.components())
    decoding, encoding, mixing = BY_MOMENTS if by_moments else BY_POSITIONS
    decoding += MAPS * encoder.dtype.itemsize * by_moments
    of_content, of_style = math.prod(content), math.prod(style) * settings.style_scale**2
    if tile:
        stored = sum(encoder.channels[layer] / encoder.strides[layer] ** 2 for layer in LEVELS[STORED - 1 :])
        images = (IN_TILES + stored * encoder.dtype.itemsize + masks * IN_TILES / 3) * of_content
        of_styles = 1.3 * (styles * of_style + of_content) * 12  # at all sizes, while the styles are encoded
        return memory.base_memory(encoder.device) + max(images, of_styles) + TILE * (tile + HALO) ** 2
    most = max(
        (decoding + masks * MASK) * of_content, (encoding + (0 if masks else styles - 1) * mixing) * of_style
    )
    return memory.base_memory(encoder.device) + most


def choose_tile(
    settings: Settings,
    encoder: Encoder,
    content: Sequence[int],
    style: Sequence[int],
    styles: int,
    masks: int,
) -> int | None:
    """Returns the tile with which a pass fits the memory of the settings; None: the whole image does.

    Raises:
        MemoryError: no tile fits.
    """
    by_moments = all(isinstance(part, MOMENTS) for part, _ in settings.discrepancy.components())
    who = "one pass" if by_moments else f"one pass by {settings.discrepancy}, which cannot run in tiles,"
    remedy, limit = "take fewer styles" if styles > 1 else "", memory.budget(settings.memory, encoder.device)

    def need(content: Sequence[int], style: Sequence[int], tile: int | None) -> float:
        return estimate_pass(settings, encoder, content, style, styles, masks, tile)

    tiles, given = (None, *TILES) if by_moments else (None,), settings.memory != "auto"
    return memory.choose(tiles, need, (content, style), who, remedy, limit, given)
