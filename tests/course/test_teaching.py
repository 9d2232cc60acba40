"""Material for teachers: slides find their figures and fit their time; the marking scheme is complete."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import slides  # noqa: E402


def test_each_lecture_fits_in_90_minutes() -> None:
    for title, pages in slides.lectures().items():
        assert 80 <= sum(slide.minutes for slide in pages) <= 90, title
    short = [slide.short for pages in slides.lectures().values() for slide in pages]
    assert sum(short) == 90


def test_the_plans_of_teaching_and_of_the_board_have_the_minutes_of_the_slides() -> None:
    teaching, board = ((ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("teaching", "board"))
    ends = [int(end) for end in re.findall(r"^\| \d+–(\d+) \|", teaching, re.MULTILINE)]
    short = [slide.short for pages in slides.lectures().values() for slide in pages]
    assert ends[-1] == 90 and set(ends) <= {sum(short[:i]) for i in range(len(short) + 1)}
    derivation = [s for s in slides.lectures()["Lecture 2: Gram matching is an MMD"] if s.minutes][:4]
    minutes = [int(found) for found in re.findall(r"^\| (\d+) \|", board, re.MULTILINE)]
    assert sum(minutes) == sum(slide.minutes for slide in derivation)
    assert (
        f": {sum(minutes)} minutes" in board and f"{sum(s.short for s in derivation)} in the single" in board
    )


@pytest.mark.parametrize("name", slides.shows())
def test_a_show_has_its_figures_described_and_its_slides(name: str) -> None:
    title, pages = slides.shows()[name]
    html = slides.show(title, pages)
    named = sum(len(slides.FIGURE.findall(slide.body)) for slide in pages)
    assert named > 5 and len(re.findall(r'<img alt="[^"]{20,}" src="data:image', html)) == named
    assert "[Figure" not in html and html.count('<aside class="notes"') >= 5
    assert all(f"{slide.title}</h2>" in re.sub(r"<a class=.*?</a>", "", html) for slide in pages)


def test_a_figure_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"0 captions begin with 'no such'"):
        slides.FIGURE.sub(slides.figure, "[Figure: no such](../notebooks/00_tour.ipynb)")


def test_every_exercise_has_points() -> None:
    rows = re.findall(
        r"^\| (\d\d)\.(\d) \| \d \+ \d \|", (ROOT / "docs" / "marking.md").read_text("utf-8"), re.MULTILINE
    )
    files = sorted((ROOT / "notebooks" / "answers").glob("*.toml"))
    exercises = {file.stem: len(tomllib.loads(file.read_text("utf-8"))["exercise"]) for file in files}
    assert rows == [(name, str(n + 1)) for name, count in exercises.items() for n in range(count)]
