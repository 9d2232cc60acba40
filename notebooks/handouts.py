"""Copies of the notebooks without the answers to their exercises, for students.

    python notebooks/handouts.py FOLDER

In each exercise the answer (`ours` in notebooks/answers) gives way to `...`, notes on it and its output are
dropped; everything else stays. The notebooks themselves, with their answers, are the solutions.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

import cells
import nbformat


def without_answers(name: str) -> nbformat.NotebookNode:
    """A notebook whose exercises are open. Raises ValueError where an answer is not found in its cell."""
    notebook = nbformat.read(cells.FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    exercises = [cell for cell in notebook.cells if cell.cell_type == "code" and cells.MARK in cell.source]
    answers = tomllib.loads((cells.FOLDER / "answers" / f"{name[:2]}.toml").read_text("utf-8"))["exercise"]
    for number, (cell, answer) in enumerate(zip(exercises, answers, strict=True), 1):
        if cell.source.count(answer["ours"]) != 1:
            raise ValueError(f"{name}: exercise {number} does not hold the answer in notebooks/answers")
        cell.source = cell.source.replace(answer["ours"], answer.get("blank", "..."))
        cell.source = re.sub(rf"({cells.MARK}):.*", r"\1", cell.source)
        cell.outputs, cell.execution_count = [], None
    return notebook


def main() -> int:
    parser = argparse.ArgumentParser(description="Write copies of the notebooks without their answers.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in cells.names():
        nbformat.write(without_answers(name), folder / f"{name}.ipynb")  # type: ignore[no-untyped-call]
        print(folder / f"{name}.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main())
