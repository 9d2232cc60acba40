"""The student form of the notebooks: without answers, outputs and visible explanations.

    python notebooks/handouts.py            writes notebooks/student, which is part of the repository
    python notebooks/handouts.py FOLDER     writes them elsewhere

In each exercise a call of `fill_in` replaces the answer (`ours` in notebooks/answers). It raises an error
that says that the answer is missing. Notes on the answer are dropped. Below a question the explanation is
folded. All outputs are dropped, since most of them answer a question. The notebooks themselves, with answers
and outputs, are the solutions; the tests run them.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

import cells
import nbformat

FOLDER = cells.FOLDER / "student"
QUESTION, EXPLANATION = "**Predict", "**What happened"
REST = re.compile(rf"^(?=#|{re.escape(QUESTION)}|---$)", re.MULTILINE)  # where an explanation ends
NOTE = "*This copy has no answers and no outputs. [The notebook with both]({name}.ipynb).*"
TASK = re.compile(r"^Each cell (?:holds|contains) .*answer.*$", re.MULTILINE)  # above the exercises
OPEN_TASK = """In each cell, replace `fill_in(…)` by your answer and run the cell. Its asserts check the \
answer. Until then the cell stops with the message that your answer is still missing. *Run All* \
stops at the first such cell: run the cells below it one by one."""
FILL_IN = """


def fill_in(exercise):  # stands where your answer goes
    raise NotImplementedError(f"Exercise {exercise}: your answer is still missing")"""


def without_answers(name: str) -> nbformat.NotebookNode:
    """A notebook whose exercises are open. Raises ValueError where an answer is not found in its cell."""
    notebook = nbformat.read(cells.FOLDER / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    exercises = [cell for cell in notebook.cells if cell.cell_type == "code" and cells.MARK in cell.source]
    answers = tomllib.loads((cells.FOLDER / "answers" / f"{name[:2]}.toml").read_text("utf-8"))["exercise"]
    next(cell for cell in notebook.cells if cell.cell_type == "code").source += FILL_IN
    for number, (cell, answer) in enumerate(zip(exercises, answers, strict=True), 1):
        if cell.source.count(answer["ours"]) != 1:
            raise ValueError(f"{name}: exercise {number} does not hold the answer in notebooks/answers")
        blank = answer.get("blank", "...").replace("...", f"fill_in({number})")
        cell.source = cell.source.replace(answer["ours"], blank)
        cell.source = re.sub(rf"({cells.MARK}):.*", r"\1", cell.source)
    return notebook


def folded(text: str) -> str:
    """Markdown whose beginning, up to the next heading or question, opens on a click."""
    end = found.start() if (found := REST.search(text)) else len(text)
    if not (explanation := text[:end].strip()):
        return text
    details = f"<details>\n<summary><b>After the cell has run</b></summary>\n\n{explanation}\n\n</details>"
    return f"{details}\n\n{text[end:]}".rstrip()


def student_form(name: str) -> nbformat.NotebookNode:
    """A notebook as students open it. Raises ValueError where an answer or the task is not found."""
    notebook = without_answers(name)
    asked, tasks = False, 0
    for before, cell in zip([None, *notebook.cells], notebook.cells, strict=False):
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            continue
        cell.source, found = TASK.subn(OPEN_TASK, cell.source)
        tasks += found
        if (asked or EXPLANATION in cell.source) and before is not None and before.cell_type == "code":
            cell.source, asked = folded(cell.source), False
        asked = asked or QUESTION in cell.source
        cell.source = cell.source.replace("](../", "](../../")
    if tasks != 1:
        raise ValueError(
            f"{name}: one sentence must say what to do with the answers, found {tasks}: {TASK.pattern}"
        )
    title, badge, rest = notebook.cells[0].source.split("\n\n", 2)
    notebook.cells[0].source = "\n\n".join([title, badge, NOTE.format(name=f"../{name}"), rest])
    return notebook


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the notebooks' student form.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in cells.names():
        text = nbformat.writes(student_form(name)) + "\n"  # type: ignore[no-untyped-call]
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
        print(folder / f"{name}.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main())
