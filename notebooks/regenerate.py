"""Runs the notebooks and stores their outputs in place.

    python notebooks/regenerate.py                 all, quick figures
    python notebooks/regenerate.py --pretty        all, large figures: as committed
    python notebooks/regenerate.py --only 03 05    some of them

A notebook that fails is left as it was. Needs nbclient and ipykernel.
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

import cells
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parent
LIMIT = 1_500_000  # bytes of one notebook with its outputs
TIMEOUT = 3600  # seconds for one cell


def caption(notebook: nbformat.NotebookNode, index: int) -> str:
    """The paragraph *Figure: …* below a cell, as plain text; empty where there is none."""
    below = notebook.cells[index + 1] if index + 1 < len(notebook.cells) else None
    found = re.match(r"\*Figures?: (.+?)\*(?:\n|$)", below.source) if below else None
    return found[1].replace("$", "").replace("*", "") if found else ""


def describe(notebook: nbformat.NotebookNode) -> None:
    """Gives every figure its caption as alternative text, for exports to HTML."""
    for index, cell in enumerate(notebook.cells):
        cell.metadata.pop("alt", None)
        if any(
            kind.startswith("image/") for output in cell.get("outputs", []) for kind in output.get("data", [])
        ):
            cell.metadata["alt"] = caption(notebook, index)
            if not cell.metadata["alt"]:
                print(f"  no caption below the figure of cell {index}: *Figure: …*, please", file=sys.stderr)


def fold_answers(notebook: nbformat.NotebookNode) -> None:
    """Hides the code of exercises until a reader opens it, in JupyterLab and on the documentation's site."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and cells.MARK in cell.source:
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.metadata["tags"] = sorted({*cell.metadata.get("tags", []), "hide-input"})


def clean(notebook: nbformat.NotebookNode) -> None:
    """Drops what differs from run to run or machine to machine but says nothing."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]


def regenerate(path: Path) -> None:
    """Runs one notebook and writes it back. Raises CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    start = time.perf_counter()
    NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    clean(notebook)
    describe(notebook)
    fold_answers(notebook)
    text = nbformat.writes(notebook) + "\n"  # type: ignore[no-untyped-call]
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    size = len(text.encode())
    print(f"{path.name:32} {time.perf_counter() - start:6.1f} s {size / 1e6:6.2f} MB", flush=True)
    if size > LIMIT:
        print(f"  larger than {LIMIT / 1e6} MB: smaller figures, please", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the notebooks and store their outputs in place.")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="NN", help="first digits of names, e.g. 03"
    )
    parser.add_argument("--pretty", action="store_true", help="larger figures: minutes instead of seconds")
    options = parser.parse_args()
    os.environ["NSTLIB_FIGURES"] = "full" if options.pretty else "quick"
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads sleep
    failed = []
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.ipynb")):
        if path.name.startswith(tuple(options.only)):
            try:
                regenerate(path)
            except CellExecutionError as error:
                failed.append(path.name)
                print(f"{path.name} failed:\n{error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
