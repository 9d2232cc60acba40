"""Writes the slide shows of docs/lectures.md as HTML pages: three lectures, and a single one.

    python docs/slides.py FOLDER

A line [Figure: beginning of a caption](notebook) becomes the figure stored above that caption. What follows a
prediction appears with the next click. A show loads reveal.js and MathJax from the web; for a lecture hall
without it, append ?print-pdf to the address and print to a PDF file.
"""

import argparse
import re
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter

DOCS = Path(__file__).resolve().parent
MINUTES = re.compile(r"\*(\d+) min(?:; (\d+) in one lecture)?\*")
PREDICTION = re.compile(r"^\*\*Predict\.\*\*(?:.+\n)+", re.MULTILINE)
FIGURE = re.compile(r"^\[Figure: (.+)\]\((.+\.ipynb)\)$", re.MULTILINE)
STYLE = """<style>
.reveal .jp-RenderedHTMLCommon { font-size: 30px; } .reveal h1, .reveal h2 { text-transform: none; }
.reveal img { display: block; max-height: 370px; margin: 0 auto; }
</style>"""


@dataclass(frozen=True)
class Slide:
    """One slide: its Markdown without notes, the notes, its minutes in its lecture and in the single one."""

    title: str
    body: str
    notes: str
    minutes: int
    short: int


def lectures() -> dict[str, list[Slide]]:
    """The slides of each lecture, by its title."""
    text = (DOCS / "lectures.md").read_text(encoding="utf-8")
    return {
        part.partition("\n")[0]: [_slide(slide) for slide in part.split("\n### ")[1:]]
        for part in text.split("\n## ")[1:]
    }


def _slide(text: str) -> Slide:
    title, times, body = text.split("\n", 2)
    if not (found := MINUTES.fullmatch(times)):
        raise ValueError(f"slide {title!r}: its second line must be *N min* or *N min; M in one lecture*")
    notes = " ".join(line.lstrip("> ") for line in body.splitlines() if line.startswith(">"))
    body = "\n".join(line for line in body.splitlines() if not line.startswith(">"))
    return Slide(title, body.strip(), notes, int(found[1]), int(found[2] or 0))


@cache
def _figures(path: Path) -> dict[str, tuple[str, str]]:
    """The stored figures of a notebook by caption: MIME type and base64 text."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return {
        cell.metadata["alt"]: (kind, data.replace("\n", ""))
        for cell in notebook.cells
        if "alt" in cell.metadata
        for output in cell.outputs
        for kind, data in output.get("data", {}).items()
        if kind.startswith("image/")
    }


def figure(match: re.Match[str]) -> str:
    """The image element for a line that names a figure. Raises ValueError unless one caption begins so."""
    found = {c: v for c, v in _figures((DOCS / match[2]).resolve()).items() if c.startswith(match[1])}
    if len(found) != 1:
        raise ValueError(f"{match[2]}: {len(found)} captions begin with {match[1]!r}")
    ((caption, (kind, data)),) = found.items()
    return f'<img src="data:{kind};base64,{data}" alt="{escape(caption)}">'


def show(title: str, slides: list[Slide]) -> str:
    """A slide show as an HTML page."""
    book = nbformat.v4.new_notebook()
    pages = [("slide", f"{STYLE}\n\n# {title}\n\nDemystifying style transfer with nstlib")]
    for slide in slides:
        text = f"## {slide.title}\n\n{FIGURE.sub(figure, slide.body)}\n"
        end = found.end() if (found := PREDICTION.search(text)) else len(text)
        pages += [("slide", text[:end]), *([("fragment", text[end:])] if text[end:].strip() else [])]
        if slide.notes:
            pages.append(("notes", slide.notes))
    for kind, text in pages:
        metadata = {"slideshow": {"slide_type": kind}}
        book.cells.append(nbformat.v4.new_markdown_cell(text, metadata=metadata))
    exporter = SlidesExporter(
        reveal_theme="white", reveal_number="c/t", reveal_width="1280", reveal_height="720"
    )
    page, _ = exporter.from_notebook_node(book)  # type: ignore[no-untyped-call]
    return str(page)


def shows() -> dict[str, tuple[str, list[Slide]]]:
    """File name → title and slides: three lectures, and the slides of the single one with its minutes."""
    parts = lectures()
    short = [slide for slides in parts.values() for slide in slides if slide.short]
    numbered = {f"lecture_{n}": (title, slides) for n, (title, slides) in enumerate(parts.items(), 1)}
    return numbered | {"one_lecture": ("Demystifying style transfer", short)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the slide shows of docs/lectures.md.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, (title, slides) in shows().items():
        (folder / f"{name}.html").write_text(show(title, slides), encoding="utf-8")
        minutes = sum(slide.short if name == "one_lecture" else slide.minutes for slide in slides)
        print(f"{folder / name}.html: {len(slides)} slides, {minutes} minutes")


if __name__ == "__main__":
    main()
