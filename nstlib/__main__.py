"""The command line: python -m nstlib transfer | reconstruct | doctor.

Every setting of `Settings` is an option, drawn from its fields. A mistake gives one line and exit code
2. Ctrl-C stops a run and saves the last image.
"""

import argparse
import contextlib
import dataclasses
import os
import platform
import signal
import sys
import threading
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from nstlib import checkpoints, precision, recipes
from nstlib.allocator import keep_memory
from nstlib.features import Encoder, load_encoder, pick_device
from nstlib.images import load_image, read_recipe, save_image
from nstlib.settings import PRESETS, Settings
from nstlib.synthesis import Step
from nstlib.version import __version__


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit code (0 done, 2 a mistake in what was asked, 1 a failed run)."""
    options = _parser().parse_args(arguments)
    keep_memory()
    try:
        return int(options.run(options))
    except (ValueError, TypeError, OSError, checkpoints.WeightsError) as error:
        print(f"nstlib: {error}", file=sys.stderr)
        return 2
    except (MemoryError, torch.OutOfMemoryError) as error:
        hint = str(error) if isinstance(error, MemoryError) and str(error) else "out of memory"
        print(f"nstlib: {hint}; try a smaller --size or --encoder vgg19-slim", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the first image
        print("nstlib: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nstlib", description="Style transfer as distribution alignment."
    )
    parser.add_argument("--version", action="version", version=f"nstlib {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    transfer = commands.add_parser("transfer", help="give a picture the style of another")
    transfer.add_argument("content", type=Path, help="image file: what is shown")
    transfer.add_argument("style", type=Path, help="image file: how it is painted")
    transfer.set_defaults(run=_transfer)
    reconstruct = commands.add_parser("reconstruct", help="a texture from noise with the style of a picture")
    reconstruct.add_argument("style", type=Path, help="image file")
    reconstruct.add_argument(
        "--layer", type=int, default=5, help="use the first LAYER style layers (default 5)"
    )
    reconstruct.set_defaults(run=_reconstruct)
    for command in (transfer, reconstruct):
        command.add_argument(
            "-o", "--output", type=Path, required=True, help="image to write; .png keeps the recipe"
        )
        command.add_argument(
            "--preset", choices=PRESETS, default="balanced", help="starting values of all settings"
        )
        command.add_argument("--recipe", type=Path, help="a PNG made by nstlib: take all settings from it")
        command.add_argument(
            "--weights", type=Path, help="weight file of the encoder, instead of the usual one"
        )
        command.add_argument("--quiet", action="store_true", help="no progress bar")
        _add_settings(command)

    doctor = commands.add_parser("doctor", help="versions, device, and which weights are present")
    doctor.set_defaults(run=_doctor)
    return parser


def _add_settings(command: argparse.ArgumentParser) -> None:
    """One option per field of Settings, without a default: what is not given comes from the preset."""
    group = command.add_argument_group("settings", f"defaults of the preset 'balanced': {_defaults()}")
    for field in dataclasses.fields(Settings):
        hint = typing.get_type_hints(Settings)[field.name]
        options: dict[str, Any] = {"help": field.metadata["help"].replace("%", "%%"), "default": None}
        if typing.get_origin(hint) is tuple:
            options |= {"nargs": "+", "type": typing.get_args(hint)[0], "metavar": "X"}
        elif field.metadata["choices"]:
            options |= {"choices": field.metadata["choices"]}
        elif field.name == "method":
            options |= {"type": str}
        else:
            options |= {"type": _number(hint), "metavar": "N"}
        group.add_argument(f"--{field.name.replace('_', '-')}", **options)


def _number(hint: Any) -> type:
    """int for int, float for float and float | None."""
    return int if int in (typing.get_args(hint) or (hint,)) else float


def _defaults() -> str:
    shown = {k: v for k, v in Settings().as_dict().items() if v not in ((), None)}
    return ", ".join(f"{k.replace('_', '-')} {v}" for k, v in shown.items())


def _base(options: argparse.Namespace) -> Settings | str:
    """A recipe's settings, or a preset's name."""
    if options.recipe:
        return Settings.from_dict(read_recipe(options.recipe)["settings"])
    return str(options.preset)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings given one by one."""
    given = {f.name: getattr(options, f.name) for f in dataclasses.fields(Settings)}
    return {k: tuple(v) if isinstance(v, list) else v for k, v in given.items() if v is not None}


def _settings(base: Settings | str, options: argparse.Namespace) -> Settings:
    return (PRESETS[base] if isinstance(base, str) else base).replace(**_given(options))


def _encoder(settings: Settings, options: argparse.Namespace) -> Encoder:
    return load_encoder(
        settings.encoder, weights=options.weights, pooling=settings.pooling, dtype=settings.dtype
    )


def _transfer(options: argparse.Namespace) -> int:
    settings = _settings(_base(options), options)
    content, style = load_image(options.content, settings.size), load_image(options.style, settings.size)
    encoder = _encoder(settings, options)
    return _finish(recipes.transfer(content, style, settings, encoder=encoder), options)


def _reconstruct(options: argparse.Namespace) -> int:
    base = _base(options)
    settings = _settings(base, options)
    style, encoder = load_image(options.style, settings.size), _encoder(settings, options)
    steps = recipes.reconstruct_style(style, options.layer, base, encoder=encoder, **_given(options))
    return _finish(steps, options)


def _finish(steps: Iterator[Step], options: argparse.Namespace) -> int:
    """Runs to the end, or to Ctrl-C, and saves the last image."""
    if not options.output.parent.is_dir():
        raise FileNotFoundError(
            f"cannot save {options.output}: the folder {options.output.parent} does not exist"
        )
    if not os.access(options.output.parent, os.W_OK) or options.output.is_dir():
        raise PermissionError(f"cannot write {options.output}")
    step, note = None, ""
    with tqdm(total=None, disable=options.quiet, unit="step", leave=False) as bar, _interrupts() as pressed:
        for step in steps:
            if step.index == 1:  # by now it is decided whether the run is checkpointed
                keep_memory(large=step.image.recipe["settings"]["memory"] == "fast")  # type: ignore[attr-defined]
            bar.total = step.total
            bar.update(step.index - bar.n)
            bar.set_postfix_str(f"loss {step.loss:.4g}", refresh=False)
            if pressed.is_set():
                note = "stopped"
                break
    assert step is not None  # a run yields at least one step
    save_image(step.image, options.output)
    note = step.stopped or note
    print(f"{options.output}: {step.index} steps, {step.seconds:.1f} s" + (f"; {note}" if note else ""))
    return 1 if step.failed else 0


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets: no step is torn in the middle. A second one interrupts."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = signal.getsignal(signal.SIGINT)

    def press(*_: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _doctor(_: argparse.Namespace) -> int:
    print(f"nstlib {__version__}, Python {platform.python_version()}, torch {torch.__version__}")
    try:
        from importlib.metadata import version

        print(f"torchvision {version('torchvision')}")
    except ImportError:
        print("torchvision is missing: only vgg19-slim and vgg19-random work")
    dtype = str(load_encoder(dtype="auto").dtype).removeprefix("torch.")
    print(f"device {pick_device()}, {torch.get_num_threads()} threads, dtype {dtype}{_why()}")
    for name in ("vgg19-slim", *checkpoints.SOURCES):
        for why, path in checkpoints.places(name):
            state = f"present, SHA-256 {checkpoints.sha256(path)[:12]}…" if path.is_file() else "absent"
            print(f"{name:11} {path} ({why}): {state}")
    return 0


def _why() -> str:
    """What decided on the dtype of the embedded encoder."""
    if forced := os.environ.get("NSTLIB_DTYPE"):
        return f" (NSTLIB_DTYPE={forced})"
    times = precision.remembered("vgg19-slim", pick_device())
    shown = [f"{name} {times[name] * 1e3:.0f} ms" for name in precision.DTYPES[1:] if times.get(name)]
    return f" (measured: {', '.join(shown)} a pass; remembered in {precision.store()})"


if __name__ == "__main__":
    sys.exit(main())
