"""The commands of one forward pass: onepass, train, apply."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nstlib.console.options import add_device
from nstlib.console.progress import interrupts
from nstlib.encoders.encoder import load_encoder
from nstlib.feedforward.distributed import joined
from nstlib.feedforward.networks import FeedForward, load_feedforward, shipped
from nstlib.feedforward.pictures import files_in
from nstlib.feedforward.prepared import onepass
from nstlib.feedforward.training import Training, train_feedforward
from nstlib.images import ImageError, check_output, load_image, save_image
from nstlib.synthesis.allocator import keep_memory
from nstlib.synthesis.settings import Settings

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


def add(commands: Any) -> None:
    """The three commands, on the parser of `python -m nstlib`."""
    one = commands.add_parser("onepass", help="give a picture the style of another at once, by any method")
    one.add_argument("content", type=Path, help="image file: what is shown")
    one.add_argument("style", type=Path, nargs="+", help="image files: how it is painted")
    one.add_argument("-o", "--output", type=Path, required=True, help="image to write")
    one.add_argument(
        "--method", default="poly", help="what style is: linear, poly, gaussian, bn, wasserstein, …"
    )
    one.add_argument("--strength", type=float, default=1.0, help="0: the photograph … 1 (default)")
    one.add_argument("--size", type=int, default=512, help="longest side of the pictures, px (default 512)")
    one.add_argument(
        "--detail", type=float, default=1.0, help="of the photograph's fine detail, 0 … 1 (default)"
    )
    one.add_argument("--rounds", type=int, default=1, help="2: nearer to the style, in more time (default 1)")
    for name in ("palette", "colours", "style_scale", "style_weights"):
        meta = FIELDS[name].metadata
        option: dict[str, Any] = {"choices": meta["choices"]} if meta["choices"] else {"type": float}
        many = {"nargs": "+"} if name == "style_weights" else {}
        default: Any = FIELDS[name].default
        flag = f"--{name.replace('_', '-')}"
        one.add_argument(flag, help=meta["help"], default=default, **option, **many)
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
    check_output(options.output)
    content = load_image(options.content, options.size)
    styles = [load_image(path, options.size) for path in options.style]
    picture = onepass(
        content,
        styles,
        options.method,
        options.strength,
        detail=options.detail,
        rounds=options.rounds,
        palette=options.palette,
        colours=options.colours,
        style_scale=options.style_scale,
        style_weights=options.style_weights,
        masks=[load_image(mask).mean(1, keepdim=True) for mask in options.mask],
        encoder=load_encoder(device=options.device, dtype="auto"),
    )
    save_image(picture, options.output)
    print(options.output)
    return 0


def _train(options: argparse.Namespace) -> int:
    if not options.output.parent.is_dir():
        raise FileNotFoundError(f"cannot save {options.output}: no such folder: {options.output.parent}")
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
    network = load_feedforward(options.model, device=options.device)
    if not options.images.is_dir():
        check_output(options.output)
        _use(network, options.images, options.output, options)
        print(options.output)
        return 0
    options.output.mkdir(parents=True, exist_ok=True)
    with joined(options.distributed) as group:
        files, failed = group.share(files_in(options.images)), []
        bar = tqdm(files, disable=options.quiet or group.rank > 0, unit="image")
        for path in bar:
            try:
                _use(network, path, options.output / path.name, options)
            except (ImageError, OSError) as error:
                failed.append(path)
                bar.write(f"nstlib: left out: {error}", file=sys.stderr)
    done = len(files) - len(failed)
    print(
        f"{options.output}: {done} of {len(files)} images" + (f"; {len(failed)} left out" if failed else "")
    )
    return 1 if failed else 0


def _use(network: FeedForward, source: Path, target: Path, options: argparse.Namespace) -> None:
    image = load_image(source, options.size).to(next(network.parameters()).device)
    recipe = {"kind": "feedforward", "strength": options.strength, "network": network.card}
    save_image(network(image, options.strength), target, recipe)
