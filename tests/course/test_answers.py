"""Other people's answers to the exercises: right ones pass their cell's asserts, wrong ones turn one red.

The answers are in notebooks/answers. Of a notebook only the cells run that its exercises rest on, once.
"""

import sys
import tomllib
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))

import cells  # noqa: E402

ANSWERS = {
    path.stem: tomllib.loads(path.read_text("utf-8")) for path in (NOTEBOOKS / "answers").glob("*.toml")
}


@pytest.fixture
def in_notebooks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The folder and the quiet that the notebooks' cells expect."""
    monkeypatch.chdir(NOTEBOOKS)
    monkeypatch.setenv("NSTLIB_FIGURES", "quick")
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    with plt.rc_context():
        yield
    plt.close("all")


def held(source: str, names: dict[str, Any]) -> bool:
    """Whether a cell's asserts hold. Names that it makes or changes are put back."""
    before = dict(names)
    try:
        cells.run(source, names)
    except AssertionError:
        return False
    finally:
        names.clear()
        names.update(before)
    return True


def test_every_notebook_has_answers() -> None:
    assert {name[:2] for name in cells.names() if cells.exercises(cells.code(name))} == set(ANSWERS)


@pytest.mark.parametrize("name", cells.names())
def test_each_exercise_has_a_right_answer_and_two_wrong_ones(name: str) -> None:
    code = cells.code(name)
    exercises = [code[i] for i in cells.exercises(code)]
    entries = ANSWERS[name[:2]]["exercise"]
    assert len(entries) == len(exercises)
    for number, (source, entry) in enumerate(zip(exercises, entries, strict=True), 1):
        assert source.count(entry["ours"]) == 1, f"exercise {number}: `ours` is not what the cell holds"
        assert len(entry["right"]) >= 1 and len(entry["wrong"]) >= 2, f"exercise {number}"
        assert entry["ours"] not in entry["right"]


@pytest.mark.parametrize("name", cells.names())
def test_right_answers_pass_and_wrong_ones_do_not(name: str, in_notebooks: None) -> None:
    code = cells.code(name)
    exercises = cells.exercises(code)
    first = {i for exercise in exercises for i in cells.needed(code, exercise)} - set(exercises)
    names: dict[str, Any] = {}
    for i in sorted(first):
        cells.run(code[i], names)
    for number, (i, entry) in enumerate(zip(exercises, ANSWERS[name[:2]]["exercise"], strict=True), 1):
        for answer in entry["right"]:
            assert held(code[i].replace(entry["ours"], answer), names), f"{number}: refused {answer}"
        for answer in entry["wrong"]:
            assert not held(code[i].replace(entry["ours"], answer), names), f"{number}: accepted {answer}"
        if any(i in cells.needed(code, later) for later in exercises[number:]):
            cells.run(code[i], names)
