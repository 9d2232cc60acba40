"""A picture with what made it: what the page shows, keeps and lays over the photograph."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nstlib
from demo.runs.files import Pixels, as_large_as, picture_info, read_picture, save_png
from demo.runs.limits import LIMITS
from demo.runs.recipes import LIBRARY, LONGEST, Recipe


@dataclass(frozen=True, eq=False)
class Result:
    """pixels: (H, W, 3) at full strength. recipe: the app's; library: nstlib's own, as a PNG carries it.
    content: the photograph's file ("": it is not here). wish: of the controls that ask for it."""

    pixels: Pixels
    recipe: Recipe
    library: dict[str, Any]
    content: str
    wish: tuple[Any, ...]

    def at(self, blend: float) -> "Result":
        """The recipe says `blend` of what it said; the pixels stay at full strength."""
        blend = self.recipe.blend * (blend if self.content else 1.0)
        return Result(self.pixels, self.recipe.blended(blend), self.library, self.content, self.wish)

    def seen(self, blend: float) -> Pixels:
        """The pixels laid over the photograph."""
        if blend >= 1 or not self.content:
            return self.pixels
        photograph = np.asarray(as_large_as(self.content, self.pixels.shape[1], self.pixels.shape[0]))
        return (photograph + blend * (self.pixels.astype(np.float32) - photograph) + 0.5).astype(np.uint8)

    def save(self, path: Path, blend: float = 1.0) -> str:
        """Writes what is seen as a PNG that carries both recipes; returns the path as text."""
        return save_png(self.seen(blend), self.at(blend).recipe.as_dict() | self.library, path)


def opened(path: str) -> tuple[Pixels, Recipe, dict[str, Any]]:
    """A PNG that was saved by this app or by nstlib: its pixels and recipes. Raises ValueError in words for
    the visitor."""
    found = nstlib.read_recipe(path)
    library = {key: value for key, value in found.items() if key in LIBRARY}
    try:
        recipe = Recipe.read(found)
        if len(json.dumps(library)) > LONGEST:
            raise ValueError("its recipe is too long; save the image with nstlib again")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    size = min(max(picture_info(path)[:2]), LIMITS.size)
    return np.asarray(nstlib.to_pil(read_picture(path, size))), recipe, library
