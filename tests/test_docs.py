"""The Python blocks of the README and of docs/ run, and their commands are parsed.

The blocks of a page run in order, in one namespace, in a folder with small images. A block that needs a GPU,
a download or minutes is marked as ```python no-run.
"""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

import nstlib  # isort: skip - before torch: it limits how long waiting threads spin
import torch

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "photo": "contents/harbour",
    "painting": "styles/strokes",
    "ink": "styles/ink",
    "glass": "styles/glass",
}
SIDE, STEPS = 48, 10  # in place of the sizes and steps of the examples
BLOCK = re.compile(r"^```(python|shell)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS: dict[str, dict[str, list[str]]] = {"python": {}, "shell": {}}  # language → page → blocks
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
for page in PAGES:
    for language, code in BLOCK.findall(page.read_text(encoding="utf-8")):
        BLOCKS[language].setdefault(page.relative_to(ROOT).as_posix(), []).append(code)


@pytest.mark.parametrize("page", BLOCKS["python"])
def test_python_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for target, source in FILES.items():
        shutil.copy(ROOT / "examples" / f"{source}.jpg", tmp_path / f"{target}.jpg")
    mask = (torch.arange(SIDE) < SIDE // 2).float().expand(1, 3, SIDE, SIDE)
    nstlib.save_image(mask, tmp_path / "left.png")
    nstlib.save_image(1 - mask, tmp_path / "right.png")
    load, methods = nstlib.load_image, dict(nstlib.METHODS)
    monkeypatch.setattr(nstlib, "load_image", lambda source, size=SIDE: load(source, min(size, SIDE)))
    monkeypatch.setitem(nstlib.PRESETS, "draft", nstlib.PRESETS["draft"].replace(iterations=STEPS))
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": "example"}
    try:
        for code in BLOCKS["python"][page]:
            exec(compile(code, page, "exec"), scope)
    finally:
        nstlib.METHODS.clear()  # without what the page registered
        nstlib.METHODS.update(methods)


@pytest.mark.parametrize("page", BLOCKS["shell"])
def test_commands_are_parsed(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "site")
    from generate import parser

    for line in "".join(BLOCKS["shell"][page]).splitlines():
        words = shlex.split(line, comments=True)
        parser().parse_args(words[words.index("nstlib") + 1 :])


def test_the_generated_parts_of_the_reference_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "site")
    import generate

    texts = {page.name: page.read_text(encoding="utf-8") for page in generate.PAGES.glob("*.md")}
    parts = [name for text in texts.values() for _, name in generate.PART.findall(text)]
    assert len(parts) == sum(text.count("<!-- generated: ") for text in texts.values()) == 7
    for page, text in texts.items():
        assert text == generate.insert(text), f"{page}: run python docs/site/generate.py"


def test_every_environment_variable_is_documented() -> None:
    sources = [path for folder in ("nstlib", "demo") for path in (ROOT / folder).rglob("*.py")]
    used = {name for path in sources for name in re.findall(r"NSTLIB_[A-Z_]+", path.read_text("utf-8"))}
    assert used <= set(
        re.findall(r"NSTLIB_[A-Z_]+", (ROOT / "docs/reference/environment.md").read_text("utf-8"))
    )


def test_the_files_that_the_pages_name_exist() -> None:
    path = re.compile(r"\b(?:nstlib|demo|tests|docs|benchmarks|notebooks)/[\w/]+\.\w+")
    texts = [re.sub(r"https?://\S+", "", page.read_text("utf-8")) for page in PAGES]
    named = {name for text in texts for name in path.findall(text)}
    assert len(named) > 20 and not [name for name in named if not (ROOT / name).exists()]
