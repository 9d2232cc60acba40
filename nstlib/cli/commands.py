"""The commands of `nstlib.__main__`. Each takes its options and returns an exit code."""

import argparse
import dataclasses
import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nstlib import feedforward, recipes
from nstlib.cli.apply import apply as apply
from nstlib.cli.errors import INTERRUPTED
from nstlib.cli.options import ONEPASS, overrides, resolve
from nstlib.cli.progress import check_distinct, check_target, finish, interrupts, say_differences
from nstlib.cli.repeat import load_recipe, longest_side
from nstlib.encoders import Encoder, load_encoder, precision, weight_files
from nstlib.encoders.encoder import pick_device, working_devices
from nstlib.export import export_feedforward, export_onepass
from nstlib.feedforward.distributed import join_group
from nstlib.feedforward.settings import Training
from nstlib.images import check_output, load_image, load_mask, save_image
from nstlib.synthesis.optimize import Step
from nstlib.synthesis.settings import Settings
from nstlib.version import __version__

SIZE = 512  # px: default longest side of the images for one pass


def transfer(options: argparse.Namespace) -> int:
    check_target(options)
    recipe = load_recipe(options)
    settings = resolve(options, recipe)[1]
    load = _loader(options, recipe, settings.size)

    def begin() -> Iterator[Step]:
        return recipes.transfer(
            load(options.content, "content", 0),
            [load(style, "styles", k) for k, style in enumerate(options.style)],
            settings,
            encoder=_encoder(options, settings),
            masks=[load_mask(mask) for mask in options.mask],
            initial=options.initial and load(options.initial, "initial", 0),
        )

    return finish(begin, options, recipe)


def reconstruct(options: argparse.Namespace) -> int:
    check_target(options)
    recipe = load_recipe(options)
    start, settings = resolve(options, recipe)
    changes, layer = overrides(options), options.layer
    of_content = layer is not None and not layer.lstrip("+-").isdigit()
    if isinstance(start, Settings):  # from a recipe, which stores its kind and all values
        changes = {"levels": start.levels, "palette": start.palette} | changes
        of_content |= layer is None and recipe.get("kind") == "reconstruct_content"
    name = "content" if of_content else "styles"

    def begin() -> Iterator[Step]:
        image = _loader(options, recipe, settings.size)(options.image, name, 0)
        encoder = _encoder(options, settings)
        if of_content:
            return recipes.reconstruct_content(image, layer, start, encoder=encoder, **changes)
        first = None if layer is None else int(layer)
        return recipes.reconstruct_style(image, first, start, encoder=encoder, **changes)

    return finish(begin, options, recipe)


def onepass(options: argparse.Namespace) -> int:
    check_target(options)
    recipe, given = load_recipe(options), overrides(options)
    load = _loader(options, recipe, given.pop("size", SIZE))
    given |= {name: getattr(options, name) for name in ("strength", "detail", "rounds")}
    choices = {name: recipe.get(name) for name in ("levels", "strength", "detail", "rounds", *ONEPASS)}
    choices |= {name: value for name, value in given.items() if value is not None}
    late = {
        name: choices.pop(name) for name in ("strength", "detail", "palette", "rounds") if name in choices
    }
    ready = feedforward.prepare(
        load(options.content, "content", 0),
        [load(style, "styles", k) for k, style in enumerate(options.style)],
        masks=[load_mask(mask) for mask in options.mask],
        encoder=load_encoder("vgg19-slim", device=options.device, dtype=recipe.get("dtype", "auto")),
        **{name: value for name, value in choices.items() if value is not None},
    )  # `ready` stores no style image, so large ones take no memory from here on
    image = ready(**{name: value for name, value in late.items() if value is not None})
    if recipe:
        say_differences(recipe, image)
    save_image(image, options.output)
    print(options.output)
    return 0


def train(options: argparse.Namespace) -> int:
    check_distinct(options)
    checkpoint = options.checkpoint or options.output.parent / f"{options.output.stem}.part.pt"
    with join_group(options.distributed) as group, interrupts() as pressed:
        training = feedforward.train_feedforward(
            load_image(options.style, options.style_size),
            options.images,
            encoder=load_encoder(device=options.device, dtype=options.dtype),
            output=options.output,
            init_from=options.init_from,
            checkpoint=checkpoint,
            every=options.every,
            group=group,
            name=options.style.name,
            **{field.name: getattr(options, field.name) for field in dataclasses.fields(Training)},
        )
        silent = options.quiet or group.rank > 0
        if training.resumed and group.rank == 0:
            print(f"{training.resumed}", flush=True)
        with tqdm(total=options.iterations, initial=training.done, disable=silent, unit="step") as bar:
            for step in training:
                bar.update(step.index - bar.n)
                bar.set_postfix_str(f"loss {step.loss:.4g}", refresh=False)
                if pressed.is_set():
                    break
        if group.rank == 0:
            if training.done < options.iterations:
                training.save(checkpoint)
                print(f"stopped at step {training.done}; the same command goes on from {checkpoint}")
                return INTERRUPTED
            checkpoint.unlink(missing_ok=True)
            print(f"{options.output}: {training.done} steps, {training.seconds:.0f} s")
    return 0


def export(options: argparse.Namespace) -> int:
    if options.model == "onepass":
        difference = export_onepass(options.output, options.methods)
    else:
        check_distinct(options)
        difference = export_feedforward(feedforward.load_feedforward(options.model), options.output)
    print(f"{options.output}: at most {255 * difference:.2g}/255 from PyTorch")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Prints the facts for a bug report: versions, device, dtype, and the weight files."""
    print(f"nstlib {__version__}, Python {platform.python_version()}, torch {torch.__version__}")
    try:
        print(f"torchvision {version('torchvision')}")
    except PackageNotFoundError:
        print("torchvision is missing: resnet50 does not work")
    working = working_devices()
    device = torch.device(working[0])
    try:
        device = pick_device()
        print(f"device {device}, of those that work: {', '.join(working)}")
    except ValueError as error:
        print(f"NSTLIB_DEVICE: {error}")
    try:
        dtype, forced = precision.choose(device), os.environ.get("NSTLIB_DTYPE") or "auto"
        has = "multiplies" if precision.has_bfloat16(device) else "does not multiply"
        why = f"the device {has} bfloat16 in hardware" if forced == "auto" else f"NSTLIB_DTYPE={forced}"
        print(f"{torch.get_num_threads()} threads, dtype {dtype} ({why})")
    except ValueError as error:
        print(error)
    for name in ("vgg19-slim", *weight_files.SOURCES):
        for place, path in weight_files.places(name):
            state = f"present, SHA-256 {weight_files.sha256(path)[:12]}…" if path.is_file() else "absent"
            print(f"{name:11} {path} ({place}): {state}")
    return 0


def _loader(
    options: argparse.Namespace, recipe: dict[str, Any], size: int
) -> Callable[[Path, str, int], Tensor]:
    """Returns a function that loads the k-th image called `name` at its size in the recipe, or at `size`.

    The function raises ImageError if the output format cannot store an image of the content's size.
    """
    sizes = {} if options.size else recipe

    def load(path: Path, name: str, k: int) -> Tensor:
        image = load_image(path, longest_side(sizes, name, k, size))
        if path is (getattr(options, "content", None) or options.image):
            check_output(options.output, image.shape[2:])
        return image

    return load


def _encoder(options: argparse.Namespace, settings: Settings) -> Encoder:
    return load_encoder(
        settings.encoder,
        weights=options.weights,
        pooling=settings.pooling,
        device=options.device,
        dtype=settings.dtype,
    )
