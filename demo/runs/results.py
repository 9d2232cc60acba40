"""An image with its recipes, which the page shows, keeps and blends with the content image."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import nstlib
from demo.runs.files import Pixels, input_info, load_input, load_resized, save_png
from demo.runs.limits import LIMITS
from demo.runs.recipes import LIBRARY, LONGEST, Recipe


@dataclass(frozen=True, eq=False)
class Result:
    """An image (H, W, 3) at full strength, with the app's recipe and nstlib's own (`library`).

    Args:
        content: The file of the content image, or "" if this app does not have it.
        asked: The recipe in the controls that led to this result; None if the controls differ from it.
    """

    pixels: Pixels
    recipe: Recipe
    library: dict[str, Any]
    content: str
    asked: Recipe | None

    def at(self, blend: float) -> "Result":
        """This result with the blend of its recipe multiplied by `blend`. The pixels stay the same."""
        blend = self.recipe.blend * (blend if self.content else 1.0)
        return replace(self, recipe=replace(self.recipe, blend=min(1.0, max(0.0, blend))))

    def blended(self, blend: float) -> Pixels:
        """The pixels laid over the content image."""
        blend = max(0.0, blend)  # NaN becomes 0, too
        if blend >= 1 or not self.content:
            return self.pixels
        below = np.asarray(load_resized(self.content, self.pixels.shape[1], self.pixels.shape[0]))
        return (below + blend * (self.pixels.astype(np.float32) - below) + 0.5).astype(np.uint8)

    def save(self, path: Path, blend: float = 1.0) -> str:
        """Writes the blended image as a PNG that carries both recipes, and returns its path."""
        return save_png(self.blended(blend), self.at(blend).recipe.as_dict() | self.library, path)


def open_result(path: str) -> tuple[Pixels, Recipe, dict[str, Any]]:
    """The pixels and both recipes of a PNG that this app or nstlib saved. Raises ValueError for others."""
    found = nstlib.read_recipe(path)
    library = {key: value for key, value in found.items() if key in LIBRARY}
    try:
        recipe = Recipe.read(found)
        if len(json.dumps(library)) > LONGEST:
            raise ValueError("its recipe is too long; save the image with nstlib again")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    size = min(max(input_info(path)[:2]), LIMITS.size)
    return np.asarray(nstlib.to_pil(load_input(path, size))), recipe, library
