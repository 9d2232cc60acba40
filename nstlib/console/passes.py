"""The commands of one forward pass: onepass, train, apply."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from nstlib.console.files import check_distinct, check_target
from nstlib.console.mistakes import one_line
from nstlib.console.options import add_device
from nstlib.console.progress import interrupts, say_differences
from nstlib.console.repeat import load_recipe, longest_side
from nstlib.encoders.encoder import load_encoder
from nstlib.feedforward.distributed import joined
from nstlib.feedforward.networks import FeedForward, load_feedforward, shipped
from nstlib.feedforward.pictures import files_in
from nstlib.feedforward.prepared import onepass
from nstlib.feedforward.settings import Training
from nstlib.feedforward.training import train_feedforward
from nstlib.images import image_size, load_image, load_mask, save_image
from nstlib.inputs import check_share, describe_inputs
from nstlib.synthesis.allocator import keep_memory
from nstlib.synthesis.settings import Settings
from nstlib.version import surroundings

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
SHARED = ("palette", "colours", "style_scale", "style_weights", "seed")  # settings that one pass has, too
SIZE = 512  # px
KEPT = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}  # formats that results keep
NAMED = 10  # files that are named in one line


def add(commands: Any) -> None:
    """The three commands, on the parser of `python -m nstlib`."""
    one = commands.add_parser("onepass", help="give a picture the style of another at once, by any method")
    one.add_argument("content", type=Path, help="image file: what is shown")
    one.add_argument("style", type=Path, nargs="+", help="image files: how it is painted")
    one.add_argument("-o", "--output", type=Path, required=True, help="image to write; .png keeps the recipe")
    one.add_argument("--recipe", type=Path, help="a PNG made by onepass: take all choices from it")
    one.add_argument("--method", help="what style is: linear, poly (default), gaussian, bn, wasserstein, …")
    one.add_argument("--strength", type=float, help="0: the photograph … 1 (default)")
    one.add_argument("--size", type=int, help="longest side of the pictures, px (default 512)")
    one.add_argument("--detail", type=float, help="of the photograph's fine detail, 0 … 1 (default)")
    one.add_argument("--rounds", type=int, help="2: nearer to the style, in more time (default 1)")
    for name in SHARED:
        meta = FIELDS[name].metadata
        kind: type = int if name == "seed" else float
        option: dict[str, Any] = {"choices": meta["choices"]} if meta["choices"] else {"type": kind}
        many = {"nargs": "+"} if name == "style_weights" else {}
        one.add_argument(f"--{name.replace('_', '-')}", help=meta["help"], **option, **many)
    one.add_argument(
        "--mask", type=Path, nargs="+", default=[], help="image files, one a style: it goes where white is"
    )
    add_device(one)
    one.set_defaults(run=_onepass)

    train = commands.add_parser("train", help="train a network for one style")
    train.add_argument("style", type=Path, help="image file: how it is painted")
    train.add_argument("--images", type=Path, required=True, help="folder of photographs to learn from")
    train.add_argument("-o", "--output", type=Path, required=True, help="network to write, .safetensors")
    train.add_argument(
        "--checkpoint", type=Path, help="file to write to and resume from (default: OUTPUT.part.pt)"
    )
    train.add_argument(
        "--begin", help="network to start from: a shipped one or a file, of another style, say"
    )
    train.add_argument("--every", type=int, default=200, help="steps between checkpoints (default 200)")
    train.add_argument(
        "--style-size", type=int, default=384, help="longest side of the style, px (default 384)"
    )
    train.add_argument("--distributed", action="store_true", help="share each batch by torchrun's processes")
    train.add_argument("--quiet", action="store_true", help="no progress bar")
    for field in dataclasses.fields(Training):
        kind = str if field.name in ("method", "dtype", "plan") else type(field.default)
        train.add_argument(
            f"--{field.name}", type=kind, default=field.default, help=f"default {field.default}"
        )
    add_device(train)
    train.set_defaults(run=_train)

    apply = commands.add_parser("apply", help="use a trained network on an image or a folder of images")
    apply.add_argument("model", help=f"file that training wrote, or one of {', '.join(shipped())}")
    apply.add_argument("images", type=Path, help="image file or folder")
    apply.add_argument("-o", "--output", type=Path, required=True, help="image to write, or folder")
    apply.add_argument("--strength", type=float, default=1.0, help="0: the photograph … 1 (default)")
    apply.add_argument("--size", type=int, help="longest side, px (default: as they are)")
    apply.add_argument("--distributed", action="store_true", help="share a folder by torchrun's processes")
    apply.add_argument("--quiet", action="store_true", help="no progress bar")
    add_device(apply)
    apply.set_defaults(run=_apply)


def _onepass(options: argparse.Namespace) -> int:
    check_target(options.output, options.content, *options.style, *options.mask, options.recipe)
    recipe = load_recipe(options, "onepass")
    if options.size:
        Settings(size=options.size)  # refuses a size out of range

    def load(path: Path, name: str, k: int = 0) -> Tensor:
        return load_image(path, options.size or longest_side(recipe, name, k, SIZE))

    names = ("method", "strength", "detail", "rounds", "levels", *SHARED)
    given = {name: getattr(options, name, None) for name in names}
    chosen = {name: recipe.get(name) if value is None else value for name, value in given.items()}
    picture = onepass(
        load(options.content, "content"),
        [load(path, "styles", k) for k, path in enumerate(options.style)],
        masks=[load_mask(mask) for mask in options.mask],
        encoder=load_encoder("vgg19-slim", device=options.device, dtype=recipe.get("dtype", "auto")),
        **{name: value for name, value in chosen.items() if value is not None},
    )
    if recipe:
        say_differences(recipe, picture)
    save_image(picture, options.output)
    print(options.output)
    return 0


def _train(options: argparse.Namespace) -> int:
    check_distinct(options.output, options.style, options.begin and Path(options.begin))
    checkpoint = options.checkpoint or options.output.with_suffix(".part.pt")
    changes = {field.name: getattr(options, field.name) for field in dataclasses.fields(Training)}
    with joined(options.distributed) as group, interrupts() as pressed:
        keep_memory()
        training = train_feedforward(
            load_image(options.style, options.style_size),
            options.images,
            encoder=load_encoder(device=options.device, dtype=options.dtype),
            output=options.output,
            begin=options.begin,
            checkpoint=checkpoint,
            every=options.every,
            group=group,
            name=options.style.name,
            **changes,
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
                return 130
            checkpoint.unlink(missing_ok=True)
            print(f"{options.output}: {training.done} steps, {training.seconds:.0f} s")
    return 0


def _apply(options: argparse.Namespace) -> int:
    check_share(options.strength, "strength")
    if not options.images.exists():
        raise FileNotFoundError(f"no such image or folder: {options.images}")
    network = load_feedforward(options.model, device=options.device)
    if not options.images.is_dir():
        check_target(options.output, options.images)
        _use(network, options.images, options.output, options)
        print(options.output)
        return 0
    check_distinct(options.output, options.images)
    if options.output.exists() and not options.output.is_dir():
        raise NotADirectoryError(f"{options.output} is no folder, and results of a folder go into one")
    files, others = files_in(options.images)
    options.output.mkdir(parents=True, exist_ok=True)
    with joined(options.distributed) as group:
        mine, failed = group.share(files), []
        bar = tqdm(mine, disable=options.quiet or group.rank > 0, unit="image")
        for path in bar:
            try:
                _use(network, path, options.output / _saved_as(path), options)
            except (ValueError, OSError, MemoryError, ArithmeticError, RuntimeError) as error:
                failed.append(path)
                bar.write(f"nstlib: left out {path.name}: {one_line(str(error))}", file=sys.stderr)
    words = f"{len(mine) - len(failed)} of {len(mine)} images"
    words += f"; {len(failed)} left out" if failed else ""
    if others and group.rank == 0:
        names = ", ".join(path.name for path in others[:NAMED]) + (", …" if len(others) > NAMED else "")
        words += f"; {len(others)} skipped, no image files of a known format: {names}"
    print(f"{options.output}: {one_line(words)}")
    return 1 if failed else 0


def _saved_as(path: Path) -> str:
    """The name of a result: the image's own, or with .png behind it for a format that results do not keep.

    Raises ValueError where another image has that name.
    """
    if path.suffix.lower() in KEPT:
        return path.name
    if (other := path.with_name(f"{path.name}.png")).exists():
        raise ValueError(f"its result would replace that of {other.name}: rename one of them")
    return other.name


def _use(network: FeedForward, source: Path, target: Path, options: argparse.Namespace) -> None:
    width, height = image_size(source)
    scale = options.size / max(width, height) if options.size else 1.0
    network.check_memory((round(height * scale), round(width * scale)))  # before the image is decoded
    image = load_image(source, options.size)
    picture = network(image, options.strength)
    if not bool(picture.isfinite().all()):
        raise FloatingPointError(
            f"{options.model} made values of {source} that are not finite: is it damaged?"
        )
    recipe = {
        "kind": "feedforward",
        "model": str(options.model),
        "strength": options.strength,
        "network": network.card,
        "size": list(image.shape[2:]),
        "inputs": describe_inputs(content=image),
        **surroundings(),
    }
    save_image(picture, target, recipe)
