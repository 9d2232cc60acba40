"""Draws docs/architecture.svg, the house as its imports show it: rooms on floors, arrows to what they use.

python docs/architecture.py [--out FILE]

A room stands one floor above the highest room that it imports. An arrow that follows from two others is left
out. Needs nothing but Python.
"""

import argparse
import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
WIDTH, HEIGHT, GAP, LINE = 148, 84, 16, 13  # px of a room, between rooms, of a line of text
FLOOR = HEIGHT + 56


def rooms() -> dict[str, list[Path]]:
    """The rooms of nstlib/: a folder with its modules, or a module alone."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "nstlib").rglob("*.py")):
        place = path.relative_to(ROOT / "nstlib")
        if place.name != "__init__.py":
            found.setdefault(Path(place.parts[0]).stem, []).append(path)
    return found


def uses(paths: list[Path], names: set[str]) -> set[str]:
    """The other rooms that these modules import."""
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "nstlib":
                parts = (node.module or "").split(".")
                found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found & names


def floors(arrows: dict[str, set[str]]) -> dict[str, int]:
    """Each room's floor, the ground 0. Raises ValueError for a circle of imports."""
    level: dict[str, int] = {}
    while len(level) < len(arrows):
        ready = [room for room, used in arrows.items() if room not in level and used <= level.keys()]
        if not ready:
            raise ValueError(f"a circle of imports among {sorted(arrows.keys() - level.keys())}")
        for room in ready:
            level[room] = 1 + max((level[other] for other in arrows[room]), default=-1)
    return level


def shortest(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that do not follow from others: the transitive reduction."""

    def below(room: str) -> set[str]:
        return arrows[room] | {deep for other in arrows[room] for deep in below(other)}

    return {room: used - {deep for other in used for deep in below(other)} for room, used in arrows.items()}


def draw() -> str:
    """The picture, as SVG."""
    modules = rooms()
    arrows = {room: uses(paths, set(modules)) - {room} for room, paths in modules.items()}
    level = floors(arrows)
    top = max(level.values())
    stories = [sorted(room for room in level if level[room] == floor) for floor in range(top + 1)]
    width = max(len(story) for story in stories) * (WIDTH + GAP) + GAP
    place = {}
    for floor, story in enumerate(stories):
        left = (width - len(story) * (WIDTH + GAP) + GAP) / 2
        for i, room in enumerate(story):
            place[room] = (left + i * (WIDTH + GAP), GAP + (top - floor) * FLOOR)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {FLOOR * (top + 1)}" '
        'font-family="sans-serif" role="img" aria-label="The rooms of nstlib and their imports">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#777"/></marker></defs>',
        f'<rect width="{width}" height="{FLOOR * (top + 1)}" fill="white"/>',
    ]
    for room, used in sorted(shortest(arrows).items()):
        for other in sorted(used):
            (x, y), (u, v) = place[room], place[other]
            shift = (u - x) / width * WIDTH * 0.6  # leave towards where it goes
            parts.append(
                f'<path d="M{x + WIDTH / 2 + shift:.0f} {y + HEIGHT}L{u + WIDTH / 2 - shift:.0f} {v - 2}" '
                'stroke="#999" stroke-width="1.2" fill="none" marker-end="url(#tip)"/>'
            )
    for room, (x, y) in place.items():
        inside = [path.stem for path in modules[room] if path.parent.name == room]
        fill = "#dcebf7" if inside else "#f4efe3"
        parts.append(
            f'<rect x="{x:.0f}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{fill}" '
            f'stroke="#456"/><text x="{x + 8:.0f}" y="{y + 17}" font-size="13" font-weight="bold">'
            f"{room}</text>"
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
