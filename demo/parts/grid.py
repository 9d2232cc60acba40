"""A sheet of pictures that fills while its runs go on: the visitor's own beside, answers in rows and columns.

Every tile opens large, and from there in Stylize (grid.js). sheet.py draws the same as one picture to keep.
"""

import base64
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import nstlib
from demo.parts import messages
from demo.runs.engine import Frame, Job, frames
from demo.runs.files import Pixels, read_picture

OPEN_LARGE = Path(__file__).with_name("grid.js").read_text(encoding="utf-8")


@dataclass
class Cell:
    """One picture of a grid: a given one (`pixels`), or a job's outcome. share: of its run done, 0 … 1."""

    label: str
    alt: str
    job: Job | None = None
    pixels: Pixels | None = None
    note: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    active: bool = False
    share: float = 0.0
    _url: str = ""

    def show(self, frame: Frame) -> None:
        """Takes over what a frame brings."""
        self.note = f"step {frame.index} of {frame.total}"
        self.share = frame.index / frame.total
        if self.job and self.job.kind == "transfer":
            self.share = messages.work_done(self.job.settings, frame.index)
        if frame.done:
            self.note, self.share = frame.note if frame.failed else "", 1.0
        if frame.pixels is not None:
            self.draft(frame.pixels, self.note)
            self.recipe = frame.recipe

    def draft(self, pixels: Pixels, note: str) -> None:
        """Shows a picture that is not the result yet."""
        self.pixels, self.note, self._url = pixels, note, ""

    def url(self) -> str:
        """The picture as a data URL, encoded once."""
        if self.pixels is not None and not self._url:
            buffer = io.BytesIO()
            Image.fromarray(self.pixels).save(buffer, "webp", quality=88)
            self._url = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
        return self._url

    def html(self, captioned: bool = True) -> str:
        """The picture as a button that opens it large; in a table its heads are the caption."""
        note = f"<small>{escape(self.note)}</small>" if self.note else ""
        caption = f"<figcaption>{escape(self.label) if captioned else ''} {note}</figcaption>"
        frame = '<div class="frame"></div>'
        if self.url():
            choice = {"method": str(self.job.settings.method), "gamma": self.job.settings.gamma} if (
                self.job and self.job.kind == "transfer"
            ) else None  # fmt: skip
            frame = (
                f'<button type="button" class="frame" aria-label="Open large: {escape(self.alt)}" '
                f"data-label=\"{escape(self.label)}\" data-choice='{escape(json.dumps(choice))}'>"
                f'<img src="{self.url()}" alt="{escape(self.alt)}" decoding="sync"></button>'
            )
        return f'<figure class="{"active" if self.active else ""}">{frame}{caption}</figure>'


@dataclass
class Grid:
    """Cells in reading order. columns: on the sheet and a wide screen. shape: height over width of a cell.

    beside: the visitor's own pictures. heads, sides: the names of columns and rows, where cells have both.
    """

    title: str
    cells: list[Cell]
    columns: int
    shape: float = 0.75
    beside: list[Cell] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    sides: list[str] = field(default_factory=list)

    def html(self) -> str:
        style = f"--columns:{self.columns};--rest:{self.columns}fr;--shape:{1 / self.shape:.4f}"
        return f'<div class="nst-sheet" style="{style}">{self._table() if self.sides else self._flow()}</div>'

    def _flow(self) -> str:
        given, cells = ("".join(cell.html() for cell in part) for part in (self.beside, self.cells))
        return f'<div class="nst-given">{given}</div><div class="nst-grid">{cells}</div>'

    def _table(self) -> str:
        """What is given lies in the corner, where the heads of rows and columns meet."""
        corner = "".join(cell.html() for cell in self.beside)
        heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in self.heads)
        rows = "".join(
            f'<tr><th scope="row">{escape(side)}</th>'
            + "".join(f"<td>{cell.html(captioned=False)}</td>" for cell in self.row(number))
            + "</tr>"
            for number, side in enumerate(self.sides)
        )
        return (  # the region scrolls sideways on a phone, by keys as well
            f'<div class="nst-table" role="region" tabindex="0" aria-label="{escape(self.title)}">'
            f"<table><thead><tr><td>{corner}</td>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def row(self, number: int) -> list[Cell]:
        return self.cells[number * self.columns : (number + 1) * self.columns]

    def jobs(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.job is not None]

    def recipe(self) -> dict[str, Any]:
        """The recipes of all cells, for the PNG."""
        return {"title": self.title, "cells": [{"label": c.label, "recipe": c.recipe} for c in self.jobs()]}


def fill(grid: Grid, deadline: float) -> Iterator[Cell]:
    """Runs the grid's jobs one after the other; yields the cell that changed (or beat: see engine.py).

    Args:
        grid: The grid; its cells are filled in place.
        deadline: When all runs together end (time.perf_counter): each has what the others left of it.
    """
    for cell in grid.jobs():
        assert cell.job is not None
        left = deadline - time.perf_counter()
        if left <= 0:
            return
        cell.active = True
        run = frames(replace(cell.job, seconds=min(left, cell.job.seconds)))
        try:
            for frame in run:
                cell.show(frame)
                cell.active = not frame.done
                yield cell
        except ValueError:  # the time may be up before the first step
            if time.perf_counter() < deadline:
                raise
        finally:
            cell.active = False
            run.close()  # type: ignore[attr-defined]


def given(label: str, alt: str, path: str, size: int) -> Cell:
    """A cell that shows a picture of the visitor's."""
    return Cell(label, alt, pixels=np.asarray(nstlib.to_pil(read_picture(path, size))))
