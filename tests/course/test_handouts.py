"""The student form: exercises are open, no output and no explanation shows, the files are current."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))

import cells  # noqa: E402
import handouts  # noqa: E402


@pytest.fixture(scope="module", params=cells.names())
def copy(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(handouts.FOLDER / f"{request.param}.ipynb", as_version=4)


@pytest.mark.parametrize("name", cells.names())
def test_the_committed_copy_is_what_the_script_writes(name: str) -> None:
    text = nbformat.writes(handouts.student_form(name)) + "\n"
    assert (handouts.FOLDER / f"{name}.ipynb").read_text("utf-8") == text, "run notebooks/handouts.py"


@pytest.mark.parametrize("name", cells.names())
def test_a_copy_holds_no_answer_and_is_python(name: str) -> None:
    copy = handouts.student_form(name)
    open_ones = [cell for cell in copy.cells if cell.cell_type == "code" and cells.MARK in cell.source]
    answers = tomllib.loads((NOTEBOOKS / "answers" / f"{name[:2]}.toml").read_text("utf-8"))["exercise"]
    assert len(open_ones) == len(answers)
    for number, (cell, answer) in enumerate(zip(open_ones, answers, strict=True), 1):
        assert answer["ours"] not in cell.source and f"fill_in({number})" in cell.source
        assert f"{cells.MARK}:" not in cell.source
        ast.parse(cell.source)


def test_an_untouched_exercise_says_that_the_answer_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(NOTEBOOKS)
    copy, names, messages = handouts.student_form("02_two_sample_problem"), {}, []
    sources = [cell.source for cell in copy.cells if cell.cell_type == "code"]
    exercises = cells.exercises(sources)
    for place in sorted({i for last in exercises for i in [*cells.needed(sources, last), last]}):
        try:
            cells.run(sources[place], names)
        except NotImplementedError as error:
            messages.append(str(error))
    assert messages == [f"Exercise {i}: your answer is still missing" for i in range(1, len(exercises) + 1)]


def test_a_copy_says_what_to_do_with_its_exercises(copy: nbformat.NotebookNode) -> None:
    text = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "markdown")
    assert handouts.OPEN_TASK in text and not handouts.TASK.search(text)


def test_a_copy_shows_no_output_and_no_explanation(copy: nbformat.NotebookNode) -> None:
    for cell in copy.cells:
        assert not cell.get("outputs") and not cell.metadata
        if cell.cell_type == "markdown":
            folded = re.findall(r"<details>.*?</details>", cell.source, flags=re.DOTALL)
            assert not any("**Predict" in text for text in folded), "a question is hidden"
            shown = re.sub(r"<details>.*?</details>", "", cell.source, flags=re.DOTALL)
            assert "**What happened" not in shown and "<details>" not in shown


def test_links_and_badges_of_a_copy_lead_to_files(copy: nbformat.NotebookNode) -> None:
    badge = re.search(r"/blob/main/(notebooks/student/\w+\.ipynb)\)", copy.cells[0].source)
    assert badge and (NOTEBOOKS.parent / badge[1]).is_file()
    for cell in copy.cells:
        for target in re.findall(r"\]\(([^)#]+)", cell.source) if cell.cell_type == "markdown" else ():
            assert target.startswith("http") or (handouts.FOLDER / target).is_file(), target


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**What happened.** A.\n\n## Next\n\nB.", ("**What happened.** A.", "## Next\n\nB.")),
        ("*Figure: f.*\n\nA.\n\n**Predict.** B?", ("*Figure: f.*\n\nA.", "**Predict.** B?")),
        ("A.", ("A.", "")),
    ],
)
def test_an_explanation_ends_where_the_next_question_begins(text: str, expected: tuple[str, str]) -> None:
    head, _, rest = handouts.folded(text).partition("</details>")
    assert (head.split("</summary>")[1].strip(), rest.strip()) == expected


def test_a_new_section_is_not_folded() -> None:
    assert handouts.folded("## Next\n\nB.") == "## Next\n\nB."


def test_an_answer_that_has_moved_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOKS / "03_gram_is_mmd.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("(2 * N - 1) // 3", "0")
    nbformat.write(notebook, tmp_path / "03_gram_is_mmd.ipynb")
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "03.toml").write_bytes((NOTEBOOKS / "answers" / "03.toml").read_bytes())
    monkeypatch.setattr(cells, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="exercise 1"):
        handouts.without_answers("03_gram_is_mmd")
