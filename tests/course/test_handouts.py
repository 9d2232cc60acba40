"""Students' copies: the exercises are open, and an open exercise does not pass."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))

import cells  # noqa: E402
import handouts  # noqa: E402


@pytest.mark.parametrize("name", cells.names())
def test_a_copy_holds_no_answer_and_is_python(name: str) -> None:
    copy = handouts.without_answers(name)
    open_ones = [cell for cell in copy.cells if cell.cell_type == "code" and cells.MARK in cell.source]
    answers = tomllib.loads((NOTEBOOKS / "answers" / f"{name[:2]}.toml").read_text("utf-8"))["exercise"]
    assert len(open_ones) == len(answers)
    for cell, answer in zip(open_ones, answers, strict=True):
        assert answer["ours"] not in cell.source and "..." in cell.source
        assert f"{cells.MARK}:" not in cell.source and not cell.outputs
        ast.parse(cell.source)


def test_an_answer_that_has_moved_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import nbformat

    notebook = nbformat.read(NOTEBOOKS / "03_gram_is_mmd.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("(2 * N - 1) // 3", "0")
    nbformat.write(notebook, tmp_path / "03_gram_is_mmd.ipynb")
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "03.toml").write_bytes((NOTEBOOKS / "answers" / "03.toml").read_bytes())
    monkeypatch.setattr(cells, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="exercise 1"):
        handouts.without_answers("03_gram_is_mmd")
