"""Reads and writes settings in the page's address: ?style=glass&method=bn&gamma=2. Checks every value."""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from demo.components.controls import DEFAULTS
from demo.runs.masks import check_region
from demo.runs.recipes import Recipe, Source, examples, identify

LONGEST = 4000  # characters
STYLES = ("style", "second")
SECOND = {"style_weights", "where"}  # only with a second style
IGNORED = ("view", "lesson", "detail")  # read by page.js only, or by earlier versions


def write(recipe: Recipe) -> str:
    """The query of a link to this result. It names only example images, which every user has."""
    wanted: dict[str, Any] = {}
    for key, image in zip(("content", *STYLES), (recipe.content, *recipe.styles), strict=False):
        if image.sha256 in examples():
            wanted[key] = image.stem
    values, usual = recipe.settings.as_dict(), DEFAULTS.as_dict()
    wanted |= {name: value for name, value in values.items() if value != usual[name] or name == "size"}
    wanted |= {"where": recipe.where} if recipe.where else {}
    wanted |= {"strength": recipe.blend} if recipe.blend != 1 else {}
    listed = {key: ",".join(map(str, x)) for key, x in wanted.items() if isinstance(x, list | tuple)}
    return urlencode(wanted | listed)


def parts(query: str) -> list[tuple[str, str]]:
    """The parts of an address that the app reads, without those for the host (`__theme`, …)."""
    found = parse_qsl(query[:LONGEST].lstrip("?"))
    return [part for part in found if not (part[0].startswith("__") or part[0] in IGNORED)]


def read(query: str, size: int = DEFAULTS.size) -> tuple[Recipe, list[str]]:
    """The recipe that an address asks for, and the parts of the address that cannot be used. Images that the
    address does not name have no SHA-256. size: the default size."""
    recipe, unused, styles = Recipe(DEFAULTS.replace(size=size)), [], {}
    for key, value in parts(query):
        try:
            if key == "content":
                recipe = replace(recipe, content=_example("contents", value))
            elif key in STYLES:
                styles[key] = _example("styles", value)
            elif key == "where":
                recipe = replace(recipe, where=check_region(value))
            elif key == "strength":
                if not 0 <= float(value) <= 1:
                    raise ValueError(value)
                recipe = replace(recipe, blend=float(value))
            else:
                recipe = replace(recipe, settings=recipe.settings.parse(**{key: value}))
        except (TypeError, ValueError, KeyError, OverflowError):
            unused.append(f"{key[:20]}={value[:40]}")
    places = STYLES[: 2 if "second" in styles else 1]
    return replace(recipe, styles=tuple(styles.get(key, Source()) for key in places)), unused


def own_images(query: str) -> str:
    """The images, in words, that a link of this app lacks because they are its sender's own. An address
    without a size was written by hand."""
    given = {key for key, _ in parts(query)}
    usual = {"content": "photo", "style": "style"} | ({"second": "second style"} if given & SECOND else {})
    return " and ".join(word for key, word in usual.items() if key not in given and "size" in given)


def _example(folder: str, stem: str) -> Source:
    """An example image. Raises KeyError."""
    found = {path.stem: path for path in examples().values() if path.parent.name == folder}
    return identify(str(found[stem]))
