"""The parts of the reference that are read from the code, so that they cannot go out of date.

A page names a function of this module in a comment of its own, <!-- generated: settings -->, and
docs/site/conf.py replaces the comment by the Markdown that the function returns.
"""

import argparse
import dataclasses
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nstlib
from nstlib import figures
from nstlib.__main__ import (
    make_parser as parser,  # also tests/test_docs.py: every command of the pages is parsed
)

TITLES = {
    "recipes": "Whole runs",
    "alignment": "Discrepancies",
    "feedforward": "One pass",
    "synthesis": "Parts of a run",
    "encoders": "Encoders",
    "images": "Images",
}


def _cell(text: object) -> str:
    """Text for a cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _shown(value: object) -> str:
    return "" if value in ((), None) else f"`{value}`"


def settings() -> str:
    """Every field of Settings with its default, its range and its meaning."""

    def rows() -> Iterator[tuple[object, ...]]:
        for field in dataclasses.fields(nstlib.Settings):
            meta = field.metadata
            values = f"{meta['low']:g} … {meta['high']:g}" if meta["low"] is not None else ""
            values = ", ".join(f"`{choice}`" for choice in meta["choices"] or ()) or values
            yield f"`{field.name}`", _shown(field.default), values, meta["help"]

    return _table(("field", "default", "values", "meaning"), rows())


def presets() -> str:
    """Every preset, by the fields that differ from the default."""
    usual = nstlib.Settings().as_dict()

    def rows() -> Iterator[tuple[object, ...]]:
        for name, preset in nstlib.PRESETS.items():
            changed = {k: v for k, v in preset.as_dict().items() if v != usual[k]}
            yield f"`{name}`", ", ".join(f"`{k}={v!r}`" for k, v in changed.items()) or "the defaults"

    return _table(("preset", "fields that differ from the defaults"), rows())


def methods() -> str:
    """Every name of the method grammar, with the class behind it and its options."""

    def rows() -> Iterator[tuple[object, ...]]:
        for name, (make, options) in nstlib.METHODS.items():
            defaults = inspect.signature(make).parameters
            shown = (f"`{option}={defaults[option].default}`" for option in options)
            yield f"`{name}`", f"`nstlib.alignment.{make.__name__}`", ", ".join(shown)

    return _table(("name", "class", "options and their defaults"), rows())


def _options(command: argparse.ArgumentParser) -> Iterator[tuple[object, ...]]:
    for group in command._action_groups:
        if group.title == "settings":
            yield "one option for each field of `Settings`", "a field `style_scale` is `--style-scale`", ""
            continue
        for action in group._group_actions:
            if isinstance(action, argparse._HelpAction):
                continue
            names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.dest.upper()}`"
            if action.choices:
                names += f" ({', '.join(f'`{choice}`' for choice in action.choices)})"
            needed = not action.option_strings or action.required
            default = "required" if needed else _shown(action.default or None)
            yield names, (action.help or "").replace("%%", "%"), default


def command_line() -> str:
    """Every command with its arguments, from the parser itself."""
    (commands,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    helps = {action.dest: action.help or "" for action in commands._choices_actions}
    pages = (
        f"## {name}\n\n`nstlib {name}`: {helps[name]}.\n\n"
        + _table(("argument", "meaning", "default"), _options(command))
        for name, command in commands.choices.items()
    )
    return "\n".join(pages)


def _directive(kind: str, name: str, *options: str) -> str:
    return "\n".join(
        ["```{eval-rst}", f".. {kind}:: {name}", *(f"   {option}" for option in options), "```", ""]
    )


def _documented(name: str, thing: Any) -> str:
    if inspect.isclass(thing):
        return _directive("autoclass", name, ":members:", ":special-members: __call__")
    return _directive("autofunction", name)


def _position(thing: Any) -> tuple[int, int]:
    """Where a function or class is defined: modules in the order of their import, and the line."""
    return list(sys.modules).index(thing.__module__), inspect.getsourcelines(thing)[1]


def api() -> str:
    """Every public name of nstlib and of its packages, by the package that defines it."""
    groups: dict[str, list[str]] = {title: [] for title in TITLES.values()}
    public = {f"nstlib.{name}": getattr(nstlib, name) for name in nstlib.__all__}
    for package in TITLES:
        module = importlib.import_module(f"nstlib.{package}")
        names = set(nstlib._DEPRECATED) & set(getattr(module, "__all__", ()))
        public |= {f"nstlib.{package}.{name}": getattr(module, name) for name in names}
    public = {name: thing for name, thing in public.items() if callable(thing)}
    for name, thing in sorted(public.items(), key=lambda pair: _position(pair[1])):
        package = thing.__module__.split(".")[1]
        groups.setdefault(TITLES.get(package, package), []).append(_documented(name, thing))
    return "\n".join("\n".join([f"## {title}\n", *entries]) for title, entries in groups.items() if entries)


def figure_functions() -> str:
    """Every public function of nstlib.figures."""
    found = (thing for _, thing in inspect.getmembers(figures, inspect.isfunction))
    names = (f.__name__ for f in found if f.__module__ == figures.__name__ and not f.__name__.startswith("_"))
    return "\n".join(_directive("autofunction", f"nstlib.figures.{name}") for name in names)


def modules() -> str:
    """The docstring of every module: formulas, sources and the order to read them in."""
    root = Path(nstlib.__file__).parent
    found = [m for m in pkgutil.walk_packages([str(root)], "nstlib.") if not m.name.endswith("__main__")]
    pages = [("nstlib", nstlib.__doc__)]
    pages += [(m.name, importlib.import_module(m.name).__doc__) for m in found]
    functions = api()  # one function has the name of its module, and only one of them can be in the index
    return "\n".join(
        f"## {name.removeprefix('nstlib.')}\n\n"
        + _directive("automodule", name, *([":no-index:"] if f":: {name}\n" in functions else []))
        for name, words in pages
        if words
    )
