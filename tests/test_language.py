"""Private words do not come back: the table under "Language" in CONTRIBUTING.md says what to write instead.

Of Markdown, the text without code, links' targets and comments is read; of Python, comments and strings that
hold more than one word (the others are keys and names).
"""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHECKED = [  # files, or patterns of files
    "app.py",
    "benchmarks/*.py",
    "demo/**/*.py",
    "nstlib/**/*.py",
    "training/*.py",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/**/*.md",
    "docs/site/*.py",
    "docs/screenshots.py",
    "examples/README.md",
    "notebooks/answers/README.md",
    "nstlib/**/README.md",
    "training/README.md",
]
BANNED = {  # pattern → what to write
    r"rooms?|wings?|houses?|front doors?|doors?|chapters?": "module, package, application, entry point, tab",
    r"visitors?|strangers?": "user, untrusted client",
    r"pictures?|pictured": "image",
    r"photographs?|photographed": "image, content image; photo for a real photo",
    r"remember(s|ed|ing)?|forget(s|ting)?|forgotten": "stores, style statistics; correlation",
    r"what is left|what remains|is left of": "residual",
    r"bare": "without the palette term",
    r"strays?|stray|clean-?ups?": "out-of-palette colours, palette projection",
    r"shipped|ships|shipping": "bundled, part of the package",
    r"mend(s|ed|ing)?": "fixed",
    r"peers?": "the project's name",
    r"(?<!standard )deviations?|deviates?": "standard deviation",
    r"heaps?|(?<!point[ -])clouds?": "sample, point cloud",
    r"cosines": "random Fourier features",
    r"Fourier's|counterparts?": "FFT; which corresponds to",
}
WORDS = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in BANNED), re.IGNORECASE)
NOT_PROSE = re.compile(r"^```.*?^```$|<!--.*?-->|\]\([^)]*\)|^---\n.*?^---$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"``.*?``|`[^`]*`", re.DOTALL)
FILES = sorted({path for pattern in CHECKED for path in ROOT.glob(pattern)})


def prose(path: Path) -> str:
    """The text of a file that people read, white space as single blanks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        text = "\n".join(token.string for token in tokens if token.type in kinds and " " in token.string)
    return " ".join(CODE.sub(" ", NOT_PROSE.sub(" ", text)).split())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_private_words(path: Path) -> None:
    text = prose(path)
    found = [text[max(0, m.start() - 30) : m.end() + 30] for m in WORDS.finditer(text)]
    assert not found, "CONTRIBUTING.md says what to write instead"


def test_the_table_of_contributing_is_this_one() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (`.*?) \|", text[text.index("## Language") :], re.MULTILINE)
    named = [word for row in table for word in re.findall(r"`([^`]+)`", row)]
    assert len(named) > 10 and not [word for word in named if not WORDS.search(word)]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 160
