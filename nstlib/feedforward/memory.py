"""Estimates the memory of one pass before the pass starts, and chooses tiles that fit a budget."""

import math
from collections.abc import Sequence

from nstlib.alignment.discrepancy import BNStatistics, LinearMMD, PolynomialMMD
from nstlib.alignment.gaussian import GaussianMMD
from nstlib.alignment.wasserstein import Coral, Wasserstein
from nstlib.encoders.encoder import Encoder
from nstlib.feedforward.decoders import LEVELS
from nstlib.synthesis import memory
from nstlib.synthesis.settings import Settings

# Bytes, measured by benchmarks/memory.py: per pixel of the content; per pixel of the largest style; per pixel
# of the largest style for each further style of a mixture, because all styles are held at once.
BY_MOMENTS, BY_POSITIONS = (270, 260, 400), (1550, 1150, 1650)  # methods in `MOMENTS`, and all others
MAPS = 130  # for methods in `MOMENTS`: more bytes per pixel of the content, for each byte of the dtype
MASK = 60  # bytes per pixel of the content, for each mask
STORED = 3  # shallowest level that a pass in tiles stores; the maps of shallower levels are larger
TILES = (512, 256)  # px: sides of a tile
# In tiles: bytes per pixel of the content, bytes per pixel of a tile with its halo, px of both halos
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
    """Returns the peak memory of the process during one pass, in bytes.

    Args:
        content, style: (height, width) of the content and of the largest style, before `style_scale`.
        styles, masks: number of styles and of masks.
        tile: side of the tiles in pixels. None: the whole image at once.
    """
    by_moments = all(isinstance(part, MOMENTS) for part, _ in settings.discrepancy.components())
    decoding, encoding, mixing = BY_MOMENTS if by_moments else BY_POSITIONS
    decoding += MAPS * encoder.dtype.itemsize * by_moments
    of_content, of_style = math.prod(content), math.prod(style) * settings.style_scale**2
    if tile:
        stored = sum(encoder.channels[layer] / encoder.strides[layer] ** 2 for layer in LEVELS[STORED - 1 :])
        images = (IN_TILES + stored * encoder.dtype.itemsize + masks * IN_TILES / 3) * of_content
        of_styles = 1.3 * (styles * of_style + of_content) * 12  # images of all sizes, while encoding
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
    """Returns the largest side of tiles with which a pass fits `settings.memory`; None: the whole image fits.

    Raises:
        MemoryError: the pass does not fit, even in tiles.
    """
    by_moments = all(isinstance(part, MOMENTS) for part, _ in settings.discrepancy.components())
    who = "one pass" if by_moments else f"one pass by {settings.discrepancy}, which cannot run in tiles,"
    remedy, limit = "take fewer styles" if styles > 1 else "", memory.budget(settings.memory, encoder.device)

    def need(content: Sequence[int], style: Sequence[int], tile: int | None) -> float:
        return estimate_pass(settings, encoder, content, style, styles, masks, tile)

    tiles, given = (None, *TILES) if by_moments else (None,), settings.memory != "auto"
    return memory.choose(tiles, need, (content, style), who, remedy, limit, given)
