"""The documentation site: tutorials, how-to guides, reference and explanation. See requirements-docs.txt.

    python -m sphinx -W --keep-going -q -c docs/site . site

The source folder is the repository itself, so that links between files work in both places. Notebooks are
shown with their stored outputs and never run. generate.py writes the parts that come from the code.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "site")]

import generate  # noqa: E402 - found by the line above

import nstlib  # noqa: E402

project = "nstlib"
author = "the authors of nstlib"
version = release = nstlib.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "docs/site/index"
include_patterns = [
    *("docs/*.md", "docs/**/*.md"),
    "notebooks/[0-9][0-9]_*.ipynb",
    "notebooks/answers/*.md",
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("training/README.md", "examples/README.md"),
    "nstlib/*/weights/README.md",
]

html_theme = "furo"
html_title = "nstlib"
html_show_copyright = False
html_last_updated_fmt = None

nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # the notebooks' constants stand under a small heading

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False


SECTION = re.compile(r"(Args|Returns|Raises|Yields|Attributes|Note|Example|Source)s?:")
SPECIAL = re.compile(r"(?<!\w)\*\w[^*]*\w\*(?!\w)|[*|_\\]")  # *emphasis* stays, all other signs are escaped


def escape(found: re.Match[str]) -> str:
    return found[0] if len(found[0]) > 1 else f"\\{found[0]}"


def format_docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Turns a docstring into reST: `code` in backticks; indented formulas and tables become literal blocks.

    A section such as Args keeps its indentation, for napoleon reads it.
    """
    out: list[str] = []
    literal = section = False
    for line in lines:
        indented = line.startswith(" ")
        if line and not indented:
            section = bool(SECTION.match(line))
        if indented and not literal and not section:
            out += ["", "::", ""]
        elif literal and line and not indented:
            out.append("")
        if line:
            literal = indented and not section
        if literal and indented:
            out.append(f"    {line}")
        else:
            pieces = re.split(r"`([^`]+)`", line)
            pieces[::2] = [SPECIAL.sub(escape, piece) for piece in pieces[::2]]
            pieces[1::2] = [f"``{piece}``" for piece in pieces[1::2]]
            out.append("".join(pieces))
    lines[:] = out


def insert_docstrings(app: Any, page: str, source: list[str]) -> None:
    """The reference's lists of functions and modules become their docstrings."""
    source[0] = generate.insert_docstrings(source[0])


def add_alternative_texts(app: Any, page: str, source: list[str]) -> None:
    """A notebook's captions, which its cells keep as `alt`, become the alternative texts of its figures."""
    if page.startswith("notebooks/") and source[0].startswith("{"):
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            if alt := cell["metadata"].get("alt"):
                cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
        source[0] = json.dumps(notebook)


def setup(app: Any) -> None:
    app.connect("source-read", add_alternative_texts)
    app.connect("source-read", insert_docstrings)
    app.connect("autodoc-process-docstring", format_docstring, priority=400)  # before napoleon
