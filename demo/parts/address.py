"""Settings in the page's address: ?style=glass&method=bn&gamma=2. Anybody may have written it."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from demo.parts.controls import DEFAULTS, FIELDS
from demo.runs.masks import check
from demo.runs.recipes import Named, Recipe, examples, named

LONGEST = 4000  # characters
STYLES = ("style", "second")
DETAILS = ("detail", "strength")


def write(recipe: Recipe) -> str:
    """The query of a link that asks for this result; pictures only if everybody has them."""
    wanted: dict[str, Any] = {}
    for key, picture in zip(("content", *STYLES), (recipe.content, *recipe.styles), strict=False):
        if picture.sha256 in examples():
            wanted[key] = picture.stem
    values, usual = recipe.settings.as_dict(), DEFAULTS.as_dict()
    wanted |= {name: value for name, value in values.items() if value != usual[name]}
    wanted |= {"where": recipe.where} if recipe.where else {}
    wanted |= {"detail": recipe.detail} if recipe.detail != Recipe(DEFAULTS).detail else {}
    wanted |= {"strength": recipe.blend} if recipe.blend != 1 else {}
    return urlencode({key: _text(value) for key, value in wanted.items()})


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def read(query: str) -> tuple[Recipe, list[str]]:
    """The recipe that an address asks for, and a note for everything in it that could not be used. Pictures
    without a SHA-256 were not named."""
    recipe, notes, styles = Recipe(DEFAULTS), [], {}
    for key, value in parse_qsl(query[:LONGEST].lstrip("?")):
        if key.startswith("__") or key == "view":  # the host's own, and the page's (page.js)
            continue
        try:
            if key == "content":
                recipe = replace(recipe, content=_example("contents", value))
            elif key in STYLES:
                styles[key] = _example("styles", value)
            elif key == "where":
                recipe = replace(recipe, where=check(value))
            elif key in DETAILS:
                name = "blend" if key == "strength" else key
                recipe = replace(recipe, **{name: _share(value)})
            else:
                recipe = replace(recipe, settings=recipe.settings.replace(**{key: _value(key, value)}))
        except (TypeError, ValueError, KeyError, OverflowError):
            notes.append(f"{key[:20]}={value[:40]}")
    given = tuple(styles[key] for key in STYLES if key in styles)
    return (replace(recipe, styles=given) if given else recipe), notes


def _example(folder: str, stem: str) -> Named:
    """Raises KeyError."""
    found: dict[str, Path] = {path.stem: path for path in examples().values() if path.parent.name == folder}
    return named(str(found[stem]))


def _share(text: str) -> float:
    if not 0 <= float(text) <= 1:
        raise ValueError(text)
    return float(text)


def _value(name: str, text: str) -> Any:
    """A setting from its text. Raises KeyError for an unknown name and ValueError."""
    kind = str(FIELDS[name].type)
    if "tuple" in kind:
        words = tuple(word for word in text.split(",") if word)
        return tuple(map(float, words)) if "float" in kind else words
    if "None" in kind:
        return None if text in ("", "None") else float(text)
    number = FIELDS[name].type in (int, float)
    return FIELDS[name].type(text) if number else text
