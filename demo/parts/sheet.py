"""A grid as one picture to keep: title, originals, heads of rows and columns, labels."""

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from demo.parts.grid import Cell, Grid
from demo.runs.files import Pixels

PAPER, INK = "#faf7f1", "#201c18"
PAD = 14  # px around and between the cells


def sheet(grid: Grid) -> Pixels:
    """The grid's pictures with their names (H, W, 3); what has no picture yet stays empty."""
    everything = [*grid.beside, *grid.cells]
    known = [cell.pixels.shape for cell in everything if cell.pixels is not None]
    height, width = (max(shape[axis] for shape in known) for axis in (0, 1))
    font, small = _font(max(14, width // 12)), _font(max(12, width // 16))
    line: int = round(1.7 * font.size)
    left = 1 if grid.beside else 0
    gutter: int = round(max((font.getlength(side) for side in grid.sides), default=0)) + PAD * bool(
        grid.sides
    )
    rows = max(-(-len(grid.cells) // grid.columns), len(grid.beside))
    step = height + PAD + line
    top = PAD + line + (line if grid.heads else 0)
    total = (PAD + gutter + (left + grid.columns) * (width + PAD), top + rows * step + PAD)
    page = Image.new("RGB", total, PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((PAD, PAD), _drawable(grid.title, small), INK, small)

    def x_of(column: int) -> int:
        return PAD + column * (width + PAD) + (gutter if column >= left else 0)

    def place(cell: Cell, row: int, column: int, label: str) -> None:
        x, y = x_of(column), top + row * step
        if cell.pixels is not None:
            picture = Image.fromarray(cell.pixels)
            page.paste(picture, (x + (width - picture.width) // 2, y + (height - picture.height) // 2))
        draw.text((x, y + height + font.size * 0.3), _drawable(label, font), INK, font)

    for row, cell in enumerate(grid.beside):
        place(cell, row, 0, cell.label)
    for number, cell in enumerate(grid.cells):
        row, column = divmod(number, grid.columns)
        place(cell, row, left + column, "" if grid.sides else cell.label)
    for column, head in enumerate(grid.heads):
        draw.text((x_of(left + column), PAD + line), _drawable(head, font), INK, font)
    for row, side in enumerate(grid.sides):
        place_y = top + row * step + height / 2 - font.size / 2
        draw.text((x_of(left) - gutter, place_y), _drawable(side, font), INK, font)
    return np.asarray(page)


def _font(size: int) -> Any:
    for name in ("DejaVuSans.ttf", "Arial.ttf", "Helvetica.ttc"):
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


def _drawable(text: str, font: Any) -> str:
    """Pillow's own font has no Greek."""
    return (
        text
        if "DejaVu" in str(font.getname()[0]) or "Arial" in str(font.getname()[0])
        else text.replace("γ", "gamma")
    )
