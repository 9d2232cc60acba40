"""Mistakes planted in nstlib turn a notebook red; two of notebooks/mutations.py, which tries all of them."""

import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))

import mutations  # noqa: E402


def test_there_are_ten_and_each_names_a_line_that_exists_once(tmp_path: Path) -> None:
    assert len({mutation.name for mutation in mutations.MUTATIONS}) >= 10
    for number, mutation in enumerate(mutations.MUTATIONS):
        mutations.copied(mutation, tmp_path / str(number))


def test_a_line_that_has_moved_is_named(tmp_path: Path) -> None:
    gone = mutations.Mutation("gone", "01", "alignment/kernels.py", "no such line", "")
    with pytest.raises(ValueError, match="gone"):
        mutations.copied(gone, tmp_path)


def test_without_a_mistake_the_notebook_is_green(tmp_path: Path) -> None:
    none = mutations.Mutation("none", "01", "alignment/kernels.py", "import math", "import math")
    assert mutations.red(none) is None


@pytest.mark.parametrize("name", ["variance for standard deviation", "Gram matrix not divided by M"])
def test_a_mistake_turns_its_notebook_red(name: str) -> None:
    (mutation,) = (mutation for mutation in mutations.MUTATIONS if mutation.name == name)
    assert mutations.red(mutation) is not None
