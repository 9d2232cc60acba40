"""A grid of images that fills while its runs work: results in rows and columns beside the inputs.

A click on a tile enlarges it, and a button then opens it in Stylize (grid.js). `sheet` draws the grid.
"""

import textwrap
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import nstlib
from demo.components import messages
from demo.components.common import data_url
from demo.runs.engine import Frame, Job, frames
from demo.runs.files import Pixels, input_info, load_input

PAPER, INK = "#faf7f1", "#201c18"
PAD = 14  # px around and between the cells of a sheet
LINE = 1.25  # distance between lines of text, in multiples of the font size
SCRIPT = Path(__file__).with_name("grid.js").read_text(encoding="utf-8")


@dataclass
class Cell:
    """One image of a grid: an input (`pixels`), or the result of a job. share: the fraction of the job's run
    that is done, 0 … 1."""

    label: str
    alt: str = ""
    job: Job | None = None
    pixels: Pixels | None = None
    note: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    active: bool = False
    step: int = 0
    share: float = 0.0
    _url: str = ""

    @property
    def is_transfer(self) -> bool:
        return self.job is not None and self.job.kind == "transfer"

    def update(self, frame: Frame) -> None:
        """Shows a frame of the run of this cell."""
        self.note, self.share = f"step {frame.index} of {frame.total}", frame.share
        if frame.done:
            self.note, self.share = frame.note if frame.failed else "", 1.0
        is_better = self.pixels is None or self.job is None or messages.is_shown(frame, self.job.settings)
        if frame.pixels is not None and is_better:
            self.show_draft(frame.pixels, self.note)
            self.recipe, self.step = frame.recipe, frame.index

    def show_draft(self, pixels: Pixels, note: str) -> None:
        """Shows an image and a note, and discards the URL of the previous image."""
        self.pixels, self.note, self._url = pixels, note, ""

    def url(self) -> str:
        """The image as a data URL, which is encoded once."""
        if self.pixels is not None and not self._url:
            self._url = data_url(Image.fromarray(self.pixels), 88)
        return self._url

    def html(self, captioned: bool = True, place: int | None = None) -> str:
        """The image as a button that enlarges it. In a table, the headings replace its caption.

        place: The number of the cell in its grid."""
        note = f"<small>{escape(self.note)}</small>" if self.note else ""
        caption = f"<figcaption>{escape(self.label) if captioned else ''} {note}</figcaption>"
        frame = '<div class="frame"></div>'
        if self.url():
            choice = "" if place is None or not self.is_transfer else place
            frame = (
                f'<button type="button" class="frame" aria-label="Open large: {escape(self.alt)}" '
                f'data-place="{choice}">'
                f'<img src="{self.url()}" alt="{escape(self.alt)}" decoding="sync"></button>'
            )
        return f'<figure class="{"active" if self.active else ""}">{frame}{caption}</figure>'


@dataclass
class Grid:
    """Cells in reading order. shape: height over width of a cell. beside: the input images. heads, sides: the
    headings of columns and rows, where the cells have both."""

    title: str
    cells: list[Cell]
    columns: int
    shape: float = 0.75
    beside: list[Cell] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    sides: list[str] = field(default_factory=list)

    def html(self) -> str:
        style = f"--columns:{self.columns};--rest:{self.columns}fr;--shape:{1 / self.shape:.4f}"
        beside = "".join(cell.html() for cell in self.beside)
        if self.sides:
            content = self._table(beside)
        else:
            cells = "".join(cell.html(place=place) for place, cell in enumerate(self.cells))
            content = f'<div class="nst-given">{beside}</div><div class="nst-grid">{cells}</div>'
        return f'<div class="nst-sheet" style="{style}">{content}</div>'

    def _table(self, corner: str) -> str:
        heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in self.heads)
        rows = ""
        for number, side in enumerate(self.sides):
            cells = self.cells[number * self.columns : (number + 1) * self.columns]
            tiles = "".join(f"<td>{cell.html(captioned=False)}</td>" for cell in cells)
            rows += f'<tr><th scope="row">{escape(side)}</th>{tiles}</tr>'
        return (  # on a phone, the region scrolls sideways, also by keys
            f'<div class="nst-table" role="region" tabindex="0" aria-label="{escape(self.title)}">'
            f"<table><thead><tr><td>{corner}</td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def jobs(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.job is not None]

    def recipe(self) -> dict[str, Any]:
        """The recipes of all cells, for the PNG."""
        return {"title": self.title, "cells": [{"label": c.label, "recipe": c.recipe} for c in self.jobs()]}


def fill(grid: Grid, deadline: float) -> Iterator[Cell]:
    """Runs the jobs of a grid one after the other. Yields the cell of the job after every frame.

    deadline: the value of time.perf_counter at which the runs end. The runs share the time until then.
    """
    for cell in grid.jobs():
        assert cell.job is not None
        left = deadline - time.perf_counter()
        if left <= 0:
            return
        cell.active = True
        job = replace(cell.job, seconds=min(left, cell.job.seconds))
        try:
            with closing(frames(job)) as run:
                for frame in run:
                    cell.update(frame)
                    cell.active = not frame.done
                    yield cell
        except ValueError:  # the time may be up before the first step
            if time.perf_counter() < deadline:
                raise
        finally:
            cell.active = False


def input_cell(label: str, path: str, size: int) -> Cell:
    """A cell that shows an input image."""
    pixels = np.asarray(nstlib.to_pil(load_input(path, size)))
    return Cell(label, f"The {label.lower()} image", pixels=pixels)


def shape_of(path: str) -> float:
    """Height over width of the cells for an image, within bounds."""
    width, height, _ = input_info(path)
    return float(min(max(height / width, 0.5), 1.5))


def sheet(grid: Grid) -> Pixels:
    """Draws the images and labels of a grid as one image (H, W, 3). Cells without an image stay empty."""
    shapes = [cell.pixels.shape for cell in (*grid.beside, *grid.cells) if cell.pixels is not None]
    height, width = (max(shape[axis] for shape in shapes) for axis in (0, 1))
    font, small = _font(max(10, min(14, width // 8), width // 12)), _font(max(12, width // 16))
    left = 1 if grid.beside else 0  # the column of the input images
    gutter = round(max(font.getlength(side) for side in grid.sides)) + PAD if grid.sides else 0
    rows = max(-(-len(grid.cells) // grid.columns), len(grid.beside))
    across = PAD + gutter + (left + grid.columns) * (width + PAD)
    labels = max(_height(cell.label, font, width) for cell in (*grid.beside, *grid.cells))
    heads = max((_height(head, font, width) for head in grid.heads), default=0)
    title = _height(grid.title, small, across - 2 * PAD)
    top, step = PAD + title + heads, height + PAD + labels
    page = Image.new("RGB", (across, top + rows * step + PAD), PAPER)
    draw = ImageDraw.Draw(page)

    def x_of(column: int) -> int:
        return PAD + column * (width + PAD) + (gutter if column >= left else 0)

    def write(x: float, y: float, text: str, most: int = width, font: Any = font) -> None:
        for number, line in enumerate(_lines(text, font, most)):
            draw.text((x, y + LINE * number * font.size), line, INK, font)

    places = [(cell, row, 0) for row, cell in enumerate(grid.beside)]
    places += [(c, n // grid.columns, left + n % grid.columns) for n, c in enumerate(grid.cells)]
    for cell, row, column in places:
        x, y = x_of(column), top + row * step
        if cell.pixels is not None:
            image = Image.fromarray(cell.pixels)
            page.paste(image, (x + (width - image.width) // 2, y + (height - image.height) // 2))
        if column < left or not grid.sides:
            write(x, y + height + font.size * 0.3, cell.label)
    write(PAD, PAD, grid.title, across - 2 * PAD, small)
    for column, head in enumerate(grid.heads):
        write(x_of(left + column), PAD + title, head)
    for row, side in enumerate(grid.sides):
        write(x_of(left) - gutter, top + row * step + height / 2 - font.size / 2, side, gutter)
    return np.asarray(page)


def _lines(text: str, font: Any, width: int) -> list[str]:
    """Wraps the text into lines that are at most `width` px wide in this font."""
    if font.getname()[0] == "Aileron":  # Pillow's own font, which has no γ
        text = text.replace("γ", "gamma")
    for most in range(max(1, len(text)), 0, -1):
        lines = textwrap.wrap(text, most)
        if max(map(font.getlength, lines), default=0) <= width:
            break
    return lines


def _height(text: str, font: Any, width: int) -> int:
    """The height of the lines of a text with the space around them, in px."""
    return round((LINE * len(_lines(text, font, width)) + 0.45) * font.size)


def _font(size: int) -> Any:
    with suppress(OSError):
        return ImageFont.truetype("DejaVuSans.ttf", size)
    return ImageFont.load_default(size)
