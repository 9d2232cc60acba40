"""The drawn style pictures by name: each is a function of a random generator."""

from collections.abc import Callable

from brush import Generator
from PIL import Image
from style_cells import glass, grid, mosaic
from style_ink import ink
from style_paint import dots, strokes
from style_print import hatching, waves

STYLES: dict[str, Callable[[Generator], Image.Image]] = {
    "strokes": strokes,
    "glass": glass,
    "waves": waves,
    "dots": dots,
    "grid": grid,
    "ink": ink,
    "mosaic": mosaic,
    "hatching": hatching,
}
