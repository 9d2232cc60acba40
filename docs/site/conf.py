"""The site of the documentation: README, course, teaching page, docstrings. See requirements-docs.txt.

    python -m sphinx -W --keep-going -q -c docs/site . site

The source folder is the repository itself, so that links between files lead where they lead in the
repository. Notebooks are shown with their stored outputs and never run.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import nstlib  # noqa: E402 - found by the line above

project = "nstlib"
author = "the authors of nstlib"
version = release = nstlib.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
root_doc = "docs/site/index"
include_patterns = [
    "docs/site/*.md",
    "docs/*.md",
    "notebooks/[0-9][0-9]_*.ipynb",
    "notebooks/answers/*.md",
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("training/README.md", "nstlib/encoders/weights/README.md", "nstlib/feedforward/weights/README.md"),
]

html_theme = "furo"
html_title = "nstlib"
html_show_copyright = False
html_last_updated_fmt = None

nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # the notebooks' constants stand under a small heading

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False


def plain(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: `code` in backticks, formulas and tables by indentation. Says so in reST."""
    out: list[str] = []
    literal = False
    for line in lines:
        indented = line.startswith(" ")
        if indented and not literal:
            out += ["", "::", ""]
        elif literal and line and not indented:
            out.append("")
        if line:
            literal = indented
        if indented:
            out.append(f"    {line}")
        else:
            pieces = re.split(r"`([^`]+)`", line)
            pieces[::2] = [re.sub(r"([*|_\\])", r"\\\1", piece) for piece in pieces[::2]]
            pieces[1::2] = [f"``{piece}``" for piece in pieces[1::2]]
            out.append("".join(pieces))
    lines[:] = out


def described(app: Any, page: str, source: list[str]) -> None:
    """A notebook's captions, which its cells keep as `alt`, become the alternative texts of its figures."""
    if page.startswith("notebooks/") and source[0].startswith("{"):
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            if alt := cell["metadata"].get("alt"):
                cell["metadata"]["mystnb"] = {"image": {"alt": alt}}
        source[0] = json.dumps(notebook)


def setup(app: Any) -> None:
    app.connect("source-read", described)
    app.connect("autodoc-process-docstring", plain)
