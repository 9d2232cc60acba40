"""A grid as one image to keep: title, input images, headings of rows and columns, labels."""

import contextlib
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from demo.components.grid import Grid
from demo.runs.files import Pixels

PAPER, INK = "#faf7f1", "#201c18"
PAD = 14  # px around and between the cells


def sheet(grid: Grid) -> Pixels:
    """The images of a grid with their names (H, W, 3). A cell without an image stays empty."""
    shapes = [cell.pixels.shape for cell in (*grid.beside, *grid.cells) if cell.pixels is not None]
    height, width = (max(shape[axis] for shape in shapes) for axis in (0, 1))
    font, small = _font(max(14, width // 12)), _font(max(12, width // 16))
    line = round(1.7 * font.size)
    left = 1 if grid.beside else 0  # the column of the input images
    gutter = round(max(font.getlength(side) for side in grid.sides)) + PAD if grid.sides else 0
    rows = max(-(-len(grid.cells) // grid.columns), len(grid.beside))
    step = height + PAD + line
    top = PAD + line + (line if grid.heads else 0)
    total = (PAD + gutter + (left + grid.columns) * (width + PAD), top + rows * step + PAD)
    page = Image.new("RGB", total, PAPER)
    draw = ImageDraw.Draw(page)

    def x_of(column: int) -> int:
        return PAD + column * (width + PAD) + (gutter if column >= left else 0)

    def write(x: float, y: float, text: str, font: Any = font) -> None:
        has_greek = font.getname()[0] != "Aileron"  # Pillow's own font
        draw.text((x, y), text if has_greek else text.replace("γ", "gamma"), INK, font)

    places = [(cell, row, 0) for row, cell in enumerate(grid.beside)]
    places += [(c, n // grid.columns, left + n % grid.columns) for n, c in enumerate(grid.cells)]
    for cell, row, column in places:
        x, y = x_of(column), top + row * step
        if cell.pixels is not None:
            image = Image.fromarray(cell.pixels)
            page.paste(image, (x + (width - image.width) // 2, y + (height - image.height) // 2))
        if column < left or not grid.sides:
            write(x, y + height + font.size * 0.3, cell.label)
    write(PAD, PAD, grid.title, small)
    for column, head in enumerate(grid.heads):
        write(x_of(left + column), PAD + line, head)
    for row, side in enumerate(grid.sides):
        write(x_of(left) - gutter, top + row * step + height / 2 - font.size / 2, side)
    return np.asarray(page)


def _font(size: int) -> Any:
    with contextlib.suppress(OSError):
        return ImageFont.truetype("DejaVuSans.ttf", size)
    return ImageFont.load_default(size)
