"""The command line: python -m nstlib transfer | reconstruct | onepass | train | apply | doctor.

Every setting of `Settings` is an option, drawn from its fields. A mistake gives one line and exit code
2. Ctrl-C and SIGTERM stop a run and save the last image.
"""

import argparse
import sys
from pathlib import Path

from torch import Tensor

from nstlib import recipes
from nstlib.console import options as chosen_by
from nstlib.console import passes
from nstlib.console.doctor import doctor
from nstlib.console.files import check_target
from nstlib.console.mistakes import told
from nstlib.console.progress import finish
from nstlib.console.repeat import load_recipe, longest_side
from nstlib.encoders import Encoder, load_encoder
from nstlib.images import load_image, load_mask
from nstlib.synthesis.allocator import keep_memory
from nstlib.synthesis.settings import Settings
from nstlib.version import __version__


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code (0 done, 2 a mistake in what was asked, 1 a failed run)."""
    options = _parser().parse_args(arguments)
    keep_memory()
    return told(lambda: options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nstlib", description="Style transfer as distribution alignment."
    )
    parser.add_argument("--version", action="version", version=f"nstlib {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    transfer = commands.add_parser("transfer", help="give a picture the style of another")
    transfer.add_argument("content", type=Path, help="image file: what is shown")
    transfer.add_argument("style", type=Path, nargs="+", help="image file: how it is painted; or several")
    transfer.add_argument(
        "--mask",
        type=Path,
        nargs="+",
        default=[],
        help="image files, one for each style: it goes where white is, or what is opaque",
    )
    transfer.add_argument("--initial", type=Path, help="image file to start from, instead of the content")
    transfer.set_defaults(run=_transfer)
    chosen_by.add_run(transfer)

    reconstruct = commands.add_parser("reconstruct", help="what layers remember of a picture, from noise")
    reconstruct.add_argument("picture", type=Path, help="image file")
    reconstruct.add_argument(
        "--layer",
        help="a number: the style of the first so many style layers, as a texture (default: all of them); "
        "a layer's name, like relu4_2: the content that it remembers",
    )
    reconstruct.set_defaults(run=_reconstruct)
    chosen_by.add_run(reconstruct)

    passes.add(commands)

    doctoring = commands.add_parser("doctor", help="versions, device, and which weights are present")
    doctoring.set_defaults(run=doctor)
    return parser


def _encoder(settings: Settings, options: argparse.Namespace) -> Encoder:
    return load_encoder(
        settings.encoder,
        weights=options.weights,
        pooling=settings.pooling,
        device=options.device,
        dtype=settings.dtype,
    )


def _transfer(options: argparse.Namespace) -> int:
    check_target(
        options.output, options.content, *options.style, *options.mask, options.initial, options.recipe
    )
    recipe = load_recipe(options, "transfer")
    settings = chosen_by.chosen(recipe, options)

    def load(path: Path, name: str, k: int = 0) -> Tensor:
        side = settings.size if options.size else longest_side(recipe, name, k, settings.size)
        return load_image(path, side)

    steps = recipes.transfer(
        load(options.content, "content"),
        [load(style, "styles", k) for k, style in enumerate(options.style)],
        settings,
        encoder=_encoder(settings, options),
        masks=[load_mask(mask) for mask in options.mask],
        initial=options.initial and load(options.initial, "initial"),
    )
    return finish(steps, options, recipe)


def _reconstruct(options: argparse.Namespace) -> int:
    check_target(options.output, options.picture, options.recipe)
    recipe = load_recipe(options, "reconstruct")
    base, changes = chosen_by.base(recipe, options), chosen_by.given(options)
    settings = chosen_by.chosen(recipe, options)
    of_content = options.layer is not None and not options.layer.lstrip("+-").isdigit()
    if isinstance(base, Settings):  # a recipe: its sizes are meant, and what it reconstructed
        changes = {"levels": base.levels, "palette": base.palette} | changes
        of_content |= options.layer is None and recipe.get("kind") == "reconstruct_content"
    side = settings.size
    if not options.size:
        side = longest_side(recipe, "content" if of_content else "styles", 0, side)
    picture, encoder = load_image(options.picture, side), _encoder(settings, options)
    if of_content:
        steps = recipes.reconstruct_content(picture, options.layer, base, encoder=encoder, **changes)
    else:
        layer = None if options.layer is None else int(options.layer)
        steps = recipes.reconstruct_style(picture, layer, base, encoder=encoder, **changes)
    return finish(steps, options, recipe)


if __name__ == "__main__":
    sys.exit(main())
