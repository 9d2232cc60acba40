"""Defines the options of each command, and applies them to the settings of a preset or a recipe."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nstlib.export import METHODS
from nstlib.feedforward.networks import bundled_networks
from nstlib.feedforward.settings import Training
from nstlib.synthesis.settings import PRESETS, Settings

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
# The settings that one pass uses, besides the size
ONEPASS = ("method", "palette", "colours", "style_scale", "style_weights", "seed", "memory")


def add_options(command: argparse.ArgumentParser, name: str) -> None:
    """Adds the options of the command `name` to its parser."""
    add = command.add_argument
    if name == "doctor":
        return
    if name == "export":
        add("model", help=f"onepass, a network file of `train`, or one of {', '.join(bundled_networks())}")
        add("--methods", nargs="+", default=[*METHODS], help=f"for onepass (default {' '.join(METHODS)})")
        add("-o", "--output", type=Path, required=True, help="folder for onepass; .onnx file for a network")
        return
    if name in ("transfer", "onepass"):
        add("content", type=Path, help="content image file")
        add("style", type=Path, nargs="+", help="style image file, or several")
        mask = "mask files, one for each style; a style is applied where its mask is white, or opaque"
        add("--mask", type=Path, nargs="+", default=[], help=mask)
    if name == "transfer":
        add("--initial", type=Path, help="image file to start from (default: the content)")
    elif name == "reconstruct":
        add("image", type=Path, help="image file")
        add(
            "--layer",
            help="a number k gives a texture from the first k style layers (default: all); the name of a "
            "layer, such as relu4_2, gives the content that this layer encodes",
        )
    elif name == "onepass":
        add("--strength", type=float, help="0 (the content) … 1 (default)")
        add("--detail", type=float, help="fraction of the content's fine detail to keep, 0 … 1 (default)")
        add("--rounds", type=int, help="passes at full size; 2 passes come closer to the style (default 1)")
    elif name == "train":
        add("style", type=Path, help="style image file")
        add("--images", type=Path, required=True, help="folder of images to learn from")
        add(
            "--checkpoint",
            type=Path,
            help="file to save to and resume from (default: the output with the suffix .part.pt)",
        )
        add("--init-from", help="network to start from, a bundled one or a file; its style may differ")
        add("--begin", dest="init_from", help=argparse.SUPPRESS)  # the old name, until the next release
        add("--every", type=int, default=200, help="steps between checkpoints (default 200)")
        add("--style-size", type=int, default=384, help="longest side of the style, px (default 384)")
        for field in dataclasses.fields(Training):
            help = f"{field.metadata['help']} (default {field.default})".replace("%", "%%")
            kind, choices = type(field.default), field.metadata["choices"]
            add(f"--{field.name}", type=kind, default=field.default, choices=choices, help=help)
    elif name == "apply":
        add("model", help=f"network file of `train`, or one of {', '.join(bundled_networks())}")
        add("images", type=Path, help="image file, or folder of images")
        add("--strength", type=float, default=1.0, help="0 (the content) … 1 (default)")
        add("--size", type=int, help="longest side of the images, px (default: unchanged)")
        add("--memory", default="auto", help=FIELDS["memory"].metadata["help"])
    if name in ("train", "apply"):
        add("--distributed", action="store_true", help="divide the work among the processes of torchrun")
    else:
        add("--recipe", type=Path, help="PNG of the same command; its settings, sizes and threads are used")
    output = {"train": "network file to write, .safetensors", "apply": "image file or folder to write"}
    image = "image file to write; a .png stores the recipe"
    add("-o", "--output", type=Path, required=True, help=output.get(name, image))
    device = "cpu, cuda, cuda:1, mps, … (default auto: a GPU that works, else the CPU)"
    add("--device", default="auto", help=device)
    if name != "onepass":
        add("--quiet", action="store_true", help="show no progress bar")
    if name in ("transfer", "reconstruct"):
        add("--weights", type=Path, help="weight file of the encoder (default: bundled or downloaded)")
        add("--preset", choices=PRESETS, default="balanced", help="default values of all settings")
    if name in ("transfer", "reconstruct", "onepass"):
        _add_settings(command, ("size", *ONEPASS) if name == "onepass" else tuple(FIELDS))


def _add_settings(command: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Adds an option for each of these fields of Settings. Defaults depend on the preset, so none is set."""
    values = Settings(method="linear" if "levels" in names else "poly").as_dict()
    defaults = [
        f"{name.replace('_', '-')} {values[name]}" for name in names if values[name] not in ((), None)
    ]
    preset = " of the preset 'balanced'" if "levels" in names else ""
    group = command.add_argument_group("settings", f"defaults{preset}: {', '.join(defaults)}")
    for name in names:
        field = FIELDS[name]
        options: dict[str, Any] = {"help": field.metadata["help"].replace("%", "%%")}
        if isinstance(field.default, tuple):
            options |= {"nargs": "+", "metavar": "X"}
        elif field.metadata["choices"]:
            options |= {"choices": field.metadata["choices"]}
        elif field.metadata["low"] is not None:
            options |= {"metavar": "N"}
        if name == "size":
            options["help"] += ", or full: the size of the content"
        group.add_argument(f"--{name.replace('_', '-')}", **options)


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the settings that were given as options. Raises ValueError for one out of range."""
    texts = {name: getattr(options, name, None) for name in FIELDS}
    texts = {name: text for name, text in texts.items() if text is not None}
    settings = Settings().parse(**texts)
    return {name: getattr(settings, name) for name in texts}


def resolve(options: argparse.Namespace, recipe: dict[str, Any]) -> tuple[Settings | str, Settings]:
    """Returns what the settings start from, and the settings after all options are applied.

    The start is the settings of the recipe. Without a recipe, it is the name of the preset.
    """
    start: Settings | str = options.preset
    if recipe:
        settings = recipe["settings"]
        try:
            start = Settings.from_dict(settings)
        except (TypeError, ValueError) as error:
            raise ValueError(f"the recipe in {options.recipe} cannot be used: {error}") from error
    return start, (PRESETS[start] if isinstance(start, str) else start).replace(**overrides(options))
