"""The examples of the README and of the documentation run, and their commands are spelled right.

The Python blocks of a page run in order, in one namespace, in a folder with small images. A block that needs
a GPU, a download or minutes is marked as ```python no-run.
"""

import re
import shlex
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import nstlib  # isort: skip - before torch: it limits how long waiting threads spin
import torch

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = {
    "photo": "contents/harbour",
    "painting": "styles/strokes",
    "ink": "styles/ink",
    "glass": "styles/glass",
}
SIDE, STEPS = 48, 10  # in place of the sizes and steps of the examples
BLOCK = re.compile(r"^```(python|shell)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def blocks(page: Path, language: str) -> tuple[str, ...]:
    return tuple(code for kind, code in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for target, source in EXAMPLES.items():
        shutil.copy(ROOT / "examples" / f"{source}.jpg", tmp_path / f"{target}.jpg")
    for target, columns in (("left", slice(0, SIDE // 2)), ("right", slice(SIDE // 2, SIDE))):
        mask = torch.zeros(1, 3, SIDE, SIDE)
        mask[..., columns] = 1
        nstlib.save_image(mask, tmp_path / f"{target}.png")
    load, methods = nstlib.load_image, dict(nstlib.METHODS)
    small = nstlib.PRESETS["draft"].replace(iterations=STEPS)
    monkeypatch.setattr(nstlib, "load_image", lambda source, size=SIDE: load(source, min(size, SIDE)))
    monkeypatch.setitem(nstlib.PRESETS, "draft", small)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": "example"}
    try:
        for code in blocks(page, "python"):
            exec(compile(code, name(page), "exec"), scope)
    finally:
        nstlib.METHODS.clear()  # without what the page registered
        nstlib.METHODS.update(methods)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "shell")], ids=name)
def test_commands_are_spelled_right(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "site")
    from generate import parser

    for line in "".join(blocks(page, "shell")).splitlines():
        words = shlex.split(line, comments=True)
        parser().parse_args(words[words.index("nstlib") + 1 :])


def test_every_environment_variable_is_documented() -> None:
    sources = [path for folder in ("nstlib", "demo") for path in (ROOT / folder).rglob("*.py")]
    used = {
        found for path in sources for found in re.findall(r"NSTLIB_[A-Z_]+", path.read_text(encoding="utf-8"))
    }
    assert used <= set(
        re.findall(r"NSTLIB_[A-Z_]+", (ROOT / "docs/reference/environment.md").read_text("utf-8"))
    )
