"""Finished results that are part of the page. `python -m demo.runs.ready` makes their files again."""

from functools import lru_cache
from pathlib import Path

import numpy as np

import nstlib
from demo.runs.recipes import EXAMPLES, Recipe, identify
from demo.runs.results import Result

SETTINGS = nstlib.Settings(size=768, iterations=32, levels=4)
PAIRS = {  # name: (content, style); the page opens with the first
    "harbour-strokes": ("harbour", "strokes"),
    "valley-ink": ("valley", "ink"),
    "still_life-mosaic": ("still_life", "mosaic"),
    "harbour-waves": ("harbour", "waves"),
}
FIRST = next(iter(PAIRS))


def path(name: str) -> Path:
    return EXAMPLES / "ready" / f"{name}.jpg"


def recipe(name: str) -> Recipe:
    """The recipe of a pair, which makes its file again."""
    content, style = PAIRS[name]
    files = EXAMPLES / f"contents/{content}.jpg", EXAMPLES / f"styles/{style}.jpg"
    photo, painting = (identify(str(file)) for file in files)
    return Recipe(SETTINGS, photo, (painting,), step=SETTINGS.iterations)


@lru_cache(maxsize=len(PAIRS))
def open_result(name: str) -> Result:
    """The result of a pair, from its file."""
    found = recipe(name)
    pixels = np.asarray(nstlib.to_pil(nstlib.load_image(path(name))))
    library = {"kind": "transfer", "settings": found.settings.as_dict(), "size": list(pixels.shape[:2])}
    return Result(pixels, found, library, str(EXAMPLES.parent / found.content.name), None)


if __name__ == "__main__":
    for name in PAIRS:
        sources = recipe(name).content, *recipe(name).styles
        images = [nstlib.load_image(EXAMPLES.parent / source.name, SETTINGS.size) for source in sources]
        nstlib.to_pil(nstlib.stylize(*images, SETTINGS)).save(path(name), quality=90)
