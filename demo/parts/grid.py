"""A labelled grid of pictures that fills as its runs go on, and the same grid as one picture to keep."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import nstlib
from demo.runs.engine import Frame, Job, frames
from demo.runs.files import Pixels, read_picture

PAPER, INK = "#faf7f1", "#201c18"
PAD = 14  # px around and between the cells of a sheet


@dataclass
class Cell:
    """One picture of a grid: a given one (`pixels`), or the outcome of a job."""

    label: str
    alt: str
    job: Job | None = None
    pixels: Pixels | None = None
    note: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    active: bool = False
    _url: str = ""

    def show(self, frame: Frame) -> None:
        """Takes over what a frame brings."""
        self.note = f"step {frame.index} of {frame.total}"
        if frame.done:
            self.note = frame.note if frame.failed else ""
        if frame.pixels is not None:
            self.pixels, self.recipe, self._url = frame.pixels, frame.recipe, ""

    def url(self) -> str:
        """The picture as a data URL, encoded once."""
        if self.pixels is not None and not self._url:
            buffer = io.BytesIO()
            Image.fromarray(self.pixels).save(buffer, "webp", quality=88)
            self._url = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
        return self._url


@dataclass
class Grid:
    """Cells in reading order. columns: on the sheet and a wide screen. shape: height over width of a cell."""

    title: str
    cells: list[Cell]
    columns: int
    shape: float = 0.75

    def html(self) -> str:
        figures = "".join(self._figure(cell) for cell in self.cells)
        style = f"--columns:{self.columns};--shape:{1 / self.shape:.4f}"
        return f'<div class="nst-grid" style="{style}">{figures}</div>'

    def _figure(self, cell: Cell) -> str:
        picture = f'<img src="{cell.url()}" alt="{escape(cell.alt)}" decoding="sync">' if cell.url() else ""
        state = " active" if cell.active else ""
        note = f"<small>{escape(cell.note)}</small>" if cell.note else ""
        caption = f"<figcaption>{escape(cell.label)} {note}</figcaption>"
        return f'<figure class="{state}"><div class="frame">{picture}</div>{caption}</figure>'

    def jobs(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.job is not None]

    def recipe(self) -> dict[str, Any]:
        """The recipes of all cells, for the PNG."""
        return {"title": self.title, "cells": [{"label": c.label, "recipe": c.recipe} for c in self.jobs()]}

    def sheet(self) -> Pixels:
        """All cells with their labels as one picture."""
        known = [cell.pixels.shape for cell in self.cells if cell.pixels is not None]
        height, width = (max(shape[axis] for shape in known) for axis in (0, 1))
        font, small = _font(max(14, width // 12)), _font(max(12, width // 16))
        line = font.size * 1.7
        rows = -(-len(self.cells) // self.columns)
        total = (PAD + self.columns * (width + PAD), int(2 * PAD + line + rows * (height + line + PAD)))
        page = Image.new("RGB", total, PAPER)
        draw = ImageDraw.Draw(page)
        draw.text((PAD, PAD), _drawable(self.title, small), INK, small)
        for i, cell in enumerate(self.cells):
            row, column = divmod(i, self.columns)
            x, y = PAD + column * (width + PAD), int(PAD + line + row * (height + line + PAD))
            if cell.pixels is not None:
                picture = Image.fromarray(cell.pixels)
                page.paste(picture, (x + (width - picture.width) // 2, y + (height - picture.height) // 2))
            draw.text((x, y + height + font.size * 0.3), _drawable(cell.label, font), INK, font)
        return np.asarray(page)


def fill(grid: Grid) -> Iterator[Cell]:
    """Runs the grid's jobs one after the other; yields the cell that changed (or beat: see engine.py)."""
    for cell in grid.jobs():
        assert cell.job is not None
        cell.active = True
        run = frames(cell.job)
        try:
            for frame in run:
                cell.show(frame)
                cell.active = not frame.done
                yield cell
        finally:
            cell.active = False
            run.close()  # type: ignore[attr-defined]


def given(label: str, alt: str, path: str, size: int) -> Cell:
    """A cell that shows a picture of the visitor's."""
    return Cell(label, alt, pixels=np.asarray(nstlib.to_pil(read_picture(path, size))))


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
