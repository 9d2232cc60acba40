"""The parts of the reference that are read from the code, so that they cannot go out of date.

    python docs/site/generate.py        writes them into docs/reference; tests/test_docs.py compares them

A page marks a part by <!-- generated: settings --> and <!-- end -->, and the function of that name returns
its text. On the site, docs/site/conf.py replaces the lists of functions and modules by their docstrings.
"""

import argparse
import dataclasses
import importlib
import inspect
import itertools
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nstlib
from nstlib import figures
from nstlib.__main__ import (
    make_parser as parser,  # also tests/test_docs.py: every command of the pages is parsed
)
from nstlib.inputs import show

TITLES = {
    "recipes": "Whole runs",
    "alignment": "Discrepancies",
    "feedforward": "One pass",
    "synthesis": "Parts of a run",
    "encoders": "Encoders",
    "images": "Images",
    "export": "Export",
    "kernels": "Kernels",
}
MORE = {  # names that are public in their package only
    "images": "isolate",
    "export": "export_onepass export_feedforward newton_schulz_map",
    "kernels": "bandwidth gaussian laplace linear polynomial shift_invariant squared_distance",
}
PAGES = Path(__file__).parents[1] / "reference"
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


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
            values = f"{show(meta['low'])} … {show(meta['high'])}" if meta["low"] is not None else ""
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
            names = ", ".join(f"`{action.option_strings[0]}`" for action in group._group_actions)
            yield names, "[fields of `Settings`](settings.md), which has their values and defaults", ""
            continue
        for action in group._group_actions:
            if isinstance(action, argparse._HelpAction) or action.help == argparse.SUPPRESS:
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


def _summary(name: str, thing: Any) -> tuple[str, str]:
    """A row of a list: the name, and the first paragraph of the docstring."""
    return f"`{name}`", (inspect.getdoc(thing) or "").partition("\n\n")[0]


def _list(things: dict[str, Any], site: bool) -> str:
    """Functions and classes by name: their docstrings on the site, elsewhere a table."""
    if not site:
        return _table(("name", "what it is"), itertools.starmap(_summary, things.items()))
    members = {True: (":members:", ":special-members: __call__"), False: ()}
    kinds = {name: inspect.isclass(thing) for name, thing in things.items()}
    return "\n".join(
        _directive("autoclass" if is_class else "autofunction", name, *members[is_class])
        for name, is_class in kinds.items()
    )


def api(site: bool = False) -> str:
    """Every public name of nstlib and of its packages, by the package that defines it."""
    public = {f"nstlib.{name}": getattr(nstlib, name) for name in nstlib.__all__}
    for package in TITLES:
        module = importlib.import_module(f"nstlib.{package}")
        names = set(nstlib._DEPRECATED) & set(getattr(module, "__all__", ())) | set(
            MORE.get(package, "").split()
        )
        public |= {f"nstlib.{package}.{name}": getattr(module, name) for name in names}
    groups: dict[str, dict[str, Any]] = {package: {} for package in TITLES}
    found = [(name, thing) for name, thing in public.items() if callable(thing)]
    for name, thing in sorted(found, key=lambda pair: _position(pair[1])):
        home = name.split(".")[1]
        groups[home if home in TITLES else thing.__module__.split(".")[1]][name] = thing
    return "\n".join(f"## {TITLES[package]}\n\n{_list(things, site)}" for package, things in groups.items())


def _position(thing: Any) -> tuple[str, int]:
    """Where a function or class is defined."""
    return thing.__module__, inspect.getsourcelines(thing)[1]


def figure_functions(site: bool = False) -> str:
    """Every public function of nstlib.figures."""
    found = (thing for _, thing in inspect.getmembers(figures, inspect.isfunction))
    names = (f.__name__ for f in found if f.__module__ == figures.__name__ and not f.__name__.startswith("_"))
    return _list({f"nstlib.figures.{name}": getattr(figures, name) for name in names}, site)


def modules(site: bool = False) -> str:
    """The docstring of every module: formulas, sources and the order to read them in."""
    root = Path(nstlib.__file__).parent
    found = [m.name for m in pkgutil.walk_packages([str(root)], "nstlib.") if not m.name.endswith("__main__")]
    pages = {name: module for name in ["nstlib", *found] if (module := importlib.import_module(name)).__doc__}
    if not site:
        return _table(("module", "what it is for"), itertools.starmap(_summary, pages.items()))
    functions = api(site)  # one function has the name of its module, and only one of them can be in the index
    return "\n".join(
        f"## {name.removeprefix('nstlib.')}\n\n"
        + _directive("automodule", name, *([":no-index:"] if f":: {name}\n" in functions else []))
        for name in pages
    )


def insert(text: str) -> str:
    """A page with its generated parts as they are now."""
    return PART.sub(lambda found: f"{found[1]}\n{globals()[found[2]]()}\n", text)


def insert_docstrings(text: str) -> str:
    """A page whose lists are replaced by the docstrings of what they name, for Sphinx."""
    lists = {function.__name__: function for function in (api, figure_functions, modules)}
    return PART.sub(lambda found: lists[found[2]](site=True) if found[2] in lists else found[0], text)


if __name__ == "__main__":
    for page in PAGES.glob("*.md"):
        page.write_text(insert(page.read_text(encoding="utf-8")), encoding="utf-8")
