"""Draws docs/architecture.svg: the packages of nstlib in layers, with arrows to the packages they import.

python docs/architecture.py [--out FILE]

A package stands one layer above the highest package that it imports. An arrow that follows
from two others is left out. Needs nothing but Python.
"""

import argparse
import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
WIDTH, HEIGHT, GAP, LINE = 148, 84, 16, 13  # px of a package, between packages, of a line of text
LAYER = HEIGHT + 56


def packages() -> dict[str, list[Path]]:
    """The packages of nstlib/: a folder with its modules, or a module alone."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "nstlib").rglob("*.py")):
        place = path.relative_to(ROOT / "nstlib")
        if place.name != "__init__.py":
            found.setdefault(Path(place.parts[0]).stem, []).append(path)
    return found


def uses(paths: list[Path], names: set[str]) -> set[str]:
    """The other packages that these modules import."""
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nstlib":
                parts = (node.module or "").split(".")
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found & names


def layers(arrows: dict[str, set[str]]) -> dict[str, int]:
    """Each package's layer, the ground 0. Raises ValueError for a circle of imports."""
    level: dict[str, int] = {}
    while len(level) < len(arrows):
        ready = [package for package, used in arrows.items() if package not in level and used <= level.keys()]
        if not ready:
            raise ValueError(f"a circle of imports among {sorted(arrows.keys() - level.keys())}")
        for package in ready:
            level[package] = 1 + max((level[other] for other in arrows[package]), default=-1)
    return level


def shortest(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that do not follow from others: the transitive reduction."""

    def below(package: str) -> set[str]:
        return arrows[package] | {deep for other in arrows[package] for deep in below(other)}

    return {
        package: used - {deep for other in used for deep in below(other)} for package, used in arrows.items()
    }


def draw() -> str:
    """The drawing, as SVG."""
    modules = packages()
    arrows = {package: uses(paths, set(modules)) - {package} for package, paths in modules.items()}
    level = layers(arrows)
    top = max(level.values())
    rows = [sorted(package for package in level if level[package] == layer) for layer in range(top + 1)]
    width = max(len(row) for row in rows) * (WIDTH + GAP) + GAP
    place = {}
    for layer, row in enumerate(rows):
        left = (width - len(row) * (WIDTH + GAP) + GAP) / 2
        for i, package in enumerate(row):
            place[package] = (left + i * (WIDTH + GAP), GAP + (top - layer) * LAYER)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {LAYER * (top + 1)}" '
        'font-family="sans-serif" role="img" aria-label="The packages of nstlib and their imports">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#777"/></marker></defs>',
        f'<rect width="{width}" height="{LAYER * (top + 1)}" fill="white"/>',
    ]
    for package, used in sorted(shortest(arrows).items()):
        for other in sorted(used):
            (x, y), (u, v) = place[package], place[other]
            shift = (u - x) / width * WIDTH * 0.6  # leave towards where it goes
            parts.append(
                f'<path d="M{x + WIDTH / 2 + shift:.0f} {y + HEIGHT}L{u + WIDTH / 2 - shift:.0f} {v - 2}" '
                'stroke="#999" stroke-width="1.2" fill="none" marker-end="url(#tip)"/>'
            )
    for package, (x, y) in place.items():
        inside = [path.stem for path in modules[package] if path.parent.name == package]
        fill = "#dcebf7" if inside else "#f4efe3"
        parts.append(
            f'<rect x="{x:.0f}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}" '
            f'stroke="#456"/><text x="{x + 8:.0f}" y="{y + 17}" font-size="13" font-weight="bold">'
            f"{package}</text>"
        )
        text, row = [], ""
        for name in inside:
            if len(row) + len(name) > 24:
                text.append(row)
                row = ""
            row += f"{name}  "
        for i, words in enumerate([*text, row]):
            parts.append(
                f'<text x="{x + 8:.0f}" y="{y + 33 + LINE * i}" font-size="10" fill="#333">'
                f"{words.strip()}</text>"
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("architecture.svg"))
    parser.parse_args().out.write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
