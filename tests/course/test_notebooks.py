"""The stored notebooks: captions as alternative text, numbers for truth values, sizes, short cells."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
sys.path[:0] = [str(NOTEBOOKS), str(NOTEBOOKS.parent / "tests")]

import cells  # noqa: E402
import regenerate  # noqa: E402
import test_language as language  # noqa: E402


@pytest.fixture(params=cells.names(), scope="module")
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{request.param}.ipynb", as_version=4)


def test_every_notebook_begins_with_one_cell_that_finds_the_repository(monkeypatch, tmp_path) -> None:
    """From the repository's folder as from notebooks/ and its student form, without fetching anything."""
    (first,) = {cells.code(name)[0] for name in cells.names()}
    monkeypatch.setenv("NSTLIB_SOURCE", str(tmp_path / "nowhere"))
    for start in (NOTEBOOKS.parent, NOTEBOOKS, NOTEBOOKS / "student", NOTEBOOKS.parent / "docs"):
        monkeypatch.chdir(start)
        cells.run(first, {})
        assert (Path("..") / "examples" / "contents" / "harbour.jpg").is_file(), start
    assert not (NOTEBOOKS.parent / "nstlib" / "notebooks").exists()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="could not fetch"):
        cells.run(first, {})


def has_figure(cell: nbformat.NotebookNode) -> bool:
    return any(
        kind.startswith("image/") for output in cell.get("outputs", []) for kind in output.get("data", {})
    )


def test_every_figure_is_described_by_its_caption(notebook: nbformat.NotebookNode) -> None:
    for index, cell in enumerate(notebook.cells):
        if has_figure(cell):
            caption = regenerate.caption(notebook, index)
            assert caption, f"cell {index}: no *Figure: …* below it"
            assert cell.metadata["alt"] == caption, f"cell {index}: run notebooks/regenerate.py"


@pytest.fixture(scope="module")
def html() -> HTMLExporter:
    """It makes a page of the outputs alone. Its templates are compiled once."""
    return HTMLExporter(  # "lab" reads no alt
        template_name="classic", exclude_input=True, exclude_markdown=True
    )


def test_an_export_describes_every_figure(notebook: nbformat.NotebookNode, html: HTMLExporter) -> None:
    page, _ = html.from_notebook_node(notebook)
    assert "No description has been provided" not in page
    alts = re.findall(r'<img alt="([^"]*)"', page)
    assert sum(len(alt) > 20 for alt in alts) >= sum(map(has_figure, notebook.cells))


def test_captions_are_read_as_plain_text() -> None:
    made = nbformat.v4
    figure, words = made.new_code_cell("draw()"), made.new_markdown_cell("*Figure: $N$ points.*\n\nMore.")
    notebook = made.new_notebook(cells=[figure, words, made.new_code_cell("draw()")])
    assert [regenerate.caption(notebook, index) for index in range(3)] == ["N points.", "", ""]


def test_outputs_are_numbers_not_truth_values(notebook: nbformat.NotebookNode) -> None:
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            found = re.search(r"\b(True|False)\b", output.get("text", ""))
            assert not found, f"cell {index} prints {output['text']!r}: print the numbers, assert the claim"


def test_files_and_cells_are_small(notebook: nbformat.NotebookNode) -> None:
    assert len(nbformat.writes(notebook).encode()) < regenerate.LIMIT
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            lines = len([line for line in cell.source.splitlines() if line.strip()])
            assert lines <= 36, f"cell {index} has {lines} lines: split it"


def test_answers_are_folded_in_the_solutions(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
            assert folded == (cells.MARK in cell.source) == ("hide-input" in cell.metadata.get("tags", []))


def test_features_leave_a_device_before_they_become_double(notebook: nbformat.NotebookNode) -> None:
    """Apple's MPS has no float64."""
    for cell in notebook.cells:
        for line in cell.source.splitlines() if cell.cell_type == "code" else ():
            assert not re.search(r"\[layer\]|relu\d", line) or not re.search(
                r"(?<!cpu\(\))\.double\(\)", line
            )


def test_no_private_words(notebook: nbformat.NotebookNode) -> None:
    """The table in CONTRIBUTING.md, but for the houses in the images."""
    words = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    prose = language.CODE.sub(" ", language.NOT_PROSE.sub(" ", words))
    found = [prose[max(0, m.start() - 30) : m.end() + 30] for m in language.WORDS.finditer(prose)]
    assert not [text for text in found if not re.search(r"\bhouses?\b", text)]


def test_the_course_names_its_sources_and_answers(notebook: nbformat.NotebookNode) -> None:
    words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "IJCAI 2017" in words and "## Summary" in words and "## Exercises" in words
