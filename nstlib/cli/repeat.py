"""Repeats an image from a recipe: reads the recipe and the sizes of its inputs, and lists differences."""

import argparse
import os
from typing import Any

import torch

from nstlib.cli.errors import one_line
from nstlib.images import image_size, read_recipe

MOST_THREADS = 2  # largest number of threads per core that a recipe may set
LONGEST = 16384  # px: longest side of an image that a recipe may ask for
OPTIONS = {"masks": "; give them with --mask", "initial": "; give it with --initial"}


def load_recipe(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the recipe that was given, or {}. Sets torch's number of CPU threads to that of the recipe.

    Replaces the size "full" by the longest side of the content.

    Raises ValueError if a different command made the image. The message names this command.
    """
    if options.size == "full":
        options.size = str(max(image_size(getattr(options, "content", None) or options.image)))
    if not options.recipe:
        return {}
    recipe, command = read_recipe(options.recipe), options.command
    kind = recipe.get("kind")
    if kind == "feedforward":
        words = f"{recipe.get('model', 'NETWORK')} IMAGE -o OUTPUT --strength {recipe.get('strength', 1)}"
        raise ValueError(
            f"{options.recipe} was made by a network for one style: repeat it with "
            f"nstlib apply {words} --size {max(image_size(options.recipe))}"
        )
    if kind in ("transfer", "onepass") and kind != command and "onepass" in (kind, command):
        raise ValueError(
            f"{options.recipe} was made by {kind}, not by {command}: repeat it with "
            f"nstlib {kind} … --recipe {options.recipe}"
        )
    name, wanted = ("method", str) if command == "onepass" else ("settings", dict)
    if not isinstance(recipe.get(name), wanted) or not recipe[name]:
        raise ValueError(f"the recipe in {options.recipe} has no {name}: it was not made by {command}")
    if _size(recipe) is None:  # an old version wrote it; the content had the image's size
        recipe["size"] = list(reversed(image_size(options.recipe)))
    threads = recipe.get("threads")
    if isinstance(threads, int) and 1 <= threads <= MOST_THREADS * (os.cpu_count() or 1):
        torch.set_num_threads(threads)
    return recipe


def longest_side(recipe: dict[str, Any], name: str, k: int, default: int) -> int:
    """Returns the longest side in pixels of the k-th image called `name`; `default` without a recipe.

    A recipe of an old version has only the content's size, which is then used for all images. Raises
    ValueError if the recorded size is beyond `LONGEST`.
    """
    images = _images(recipe, name)
    size = _size(images[k] if k < len(images) else {}) or _size(recipe)
    if size is None:
        return default
    if max(size) > LONGEST:
        raise ValueError(f"the recipe asks for an image of {size[1]} x {size[0]} px: give a different --size")
    return max(size)


def differences(recipe: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Lists, in sentences, how the recipe `now` of a repeated image differs from the original `recipe`."""
    notes = []
    if recipe.get("kind", now["kind"]) != now["kind"]:
        notes.append(f"the recipe is of the kind {recipe['kind']}, this image of {now['kind']}")
    if "inputs" not in recipe:
        notes.append("the recipe is of an older version and does not say which images it used")
    for name in ("content", "styles", "masks", "initial") if "inputs" in recipe else ():
        there, here = _images(recipe, name), _images(now, name)
        if len(there) != len(here):
            names = ", ".join(str(image.get("name")) for image in there) or "none"
            count = f"{len(there)} in the recipe ({names}), {len(here)} here"
            notes.append(f"{name}: {count}{OPTIONS.get(name, '')}")
        notes += [
            f"{name}: {_shown(new)} is not the image of the recipe, {_shown(old)}"
            for old, new in zip(there, here, strict=False)
            if old.get("sha256") != new["sha256"]
        ]
    versions = recipe.get("versions")
    versions = versions if isinstance(versions, dict) else {}
    for name, then, today in (
        ("encoder's weights", recipe.get("weights_sha256"), now["weights_sha256"]),
        *((name, recipe.get(name), now[name]) for name in ("device", "threads")),
        *((name, versions.get(name), now["versions"][name]) for name in ("nstlib", "torch")),
    ):
        if then not in (None, today):
            notes.append(f"{name}: {str(then)[:12]} in the recipe, {str(today)[:12]} here; pixels may differ")
    unrecorded = recipe.get("unrecorded")
    notes += [f"not in the recipe: {what}" for what in unrecorded] if isinstance(unrecorded, list) else []
    if (blend := recipe.get("blend", 1)) != 1:
        notes.append(f"the recipe blends the image with its content at {blend}; this command does not")
    return [one_line(note)[:400] for note in notes]


def _images(recipe: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Returns what a recipe, which may have any content, records of the images called `name`."""
    inputs = recipe.get("inputs")
    found = inputs.get(name, []) if isinstance(inputs, dict) else []
    return [image for image in (found if isinstance(found, list) else [found]) if isinstance(image, dict)]


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    """Returns the recorded (height, width), or None."""
    size = image.get("size")
    if isinstance(size, list) and len(size) == 2 and all(isinstance(n, int) and n >= 1 for n in size):
        return size[0], size[1]
    return None


def _shown(image: dict[str, Any]) -> str:
    size = _size(image)
    return f"{image.get('name')}" + (f" at {size[1]} x {size[0]} px" if size else "")
