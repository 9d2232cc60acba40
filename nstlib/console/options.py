"""Options drawn from the fields of `Settings`, and the settings that they and a preset or recipe choose."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from nstlib.synthesis.settings import PRESETS, Settings


def add_device(command: argparse.ArgumentParser) -> None:
    """The option that every command has which computes."""
    command.add_argument(
        "--device",
        default="auto",
        help="where to compute: cpu, cuda, cuda:1, mps, … (default auto: a GPU that works, else the CPU)",
    )


def add_run(command: argparse.ArgumentParser) -> None:
    """The options of every command that runs: where to save, where settings come from, the settings."""
    command.add_argument(
        "-o", "--output", type=Path, required=True, help="image to write; .png keeps the recipe"
    )
    command.add_argument(
        "--preset", choices=PRESETS, default="balanced", help="starting values of all settings"
    )
    command.add_argument(
        "--recipe",
        type=Path,
        help="a PNG made by nstlib: take all settings from it, its sizes and its number of threads",
    )
    command.add_argument("--weights", type=Path, help="weight file of the encoder, instead of the usual one")
    add_device(command)
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    _add_settings(command)


def _add_settings(command: argparse.ArgumentParser) -> None:
    """One option per field of Settings, without a default: what is not given comes from the preset."""
    group = command.add_argument_group("settings", f"defaults of the preset 'balanced': {_defaults()}")
    for field in dataclasses.fields(Settings):
        options: dict[str, Any] = {"help": field.metadata["help"].replace("%", "%%")}
        if isinstance(field.default, tuple):
            options |= {"nargs": "+", "metavar": "X"}
        elif field.metadata["choices"]:
            options |= {"choices": field.metadata["choices"]}
        elif field.metadata["low"] is not None:
            options |= {"metavar": "N"}
        group.add_argument(f"--{field.name.replace('_', '-')}", **options)


def _defaults() -> str:
    shown = {k: v for k, v in Settings().as_dict().items() if v not in ((), None)}
    return ", ".join(f"{k.replace('_', '-')} {v}" for k, v in shown.items())


def base(recipe: dict[str, Any], options: argparse.Namespace) -> Settings | str:
    """A recipe's settings, or a preset's name."""
    if not recipe:
        return str(options.preset)
    settings = recipe["settings"]
    if settings.get("memory") == "fast":  # on the machine of the recipe; here it is decided anew
        settings = settings | {"memory": "auto"}
    try:
        return Settings.from_dict(settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the recipe in {options.recipe} cannot be used: {error}") from error


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings given one by one."""
    texts = {f.name: getattr(options, f.name) for f in dataclasses.fields(Settings)}
    texts = {name: text for name, text in texts.items() if text is not None}
    settings = Settings().parse(**texts)
    return {name: getattr(settings, name) for name in texts}


def chosen(recipe: dict[str, Any], options: argparse.Namespace) -> Settings:
    """The preset or recipe with the settings given one by one."""
    start = base(recipe, options)
    return (PRESETS[start] if isinstance(start, str) else start).replace(**given(options))
