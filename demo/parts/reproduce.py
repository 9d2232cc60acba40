"""The Python and the command line that make a picture again, naming only what differs from the defaults."""

import re
import shlex
import unicodedata
from pathlib import Path
from typing import Any

import nstlib


def changes(settings: nstlib.Settings) -> dict[str, Any]:
    """The settings that are not the library's defaults; always with method, γ, size, steps and seed."""
    default, values = nstlib.Settings().as_dict(), settings.as_dict()
    always = ("method", "gamma", "size", "iterations", "seed")
    return {k: v for k, v in values.items() if k in always or v != default[k]}


def python(settings: nstlib.Settings, content: str, style: str) -> str:
    """A script of a few lines."""
    wanted = changes(settings)
    arguments = "".join(f"    {name}={_literal(_short(value))},\n" for name, value in wanted.items())
    return (
        "import nstlib\n\n"
        f"content = nstlib.load_image({_literal(Path(content).name)}, size={settings.size})\n"
        f"style = nstlib.load_image({_literal(Path(style).name)}, size={settings.size})\n"
        f"image = nstlib.stylize(\n    content,\n    style,\n{arguments})\n"
        f"nstlib.save_image(image, {_literal(file_name(settings, content, style))})\n"
    )


def command(settings: nstlib.Settings, content: str, style: str) -> str:
    """One command for a shell."""
    parts = ["python", "-m", "nstlib", "transfer", Path(content).name, Path(style).name]
    parts += ["-o", file_name(settings, content, style)]
    for name, value in changes(settings).items():
        words = [str(v) for v in value] if isinstance(value, tuple | list) else [str(_short(value))]
        parts += [f"--{name.replace('_', '-')}", *words]
    return shlex.join(parts)


def file_name(settings: nstlib.Settings, content: str, style: str, suffix: str = ".png") -> str:
    """A name that says what the picture is: harbour-waves-linear.png."""
    names = [Path(content).stem, Path(style).stem, re.sub(r"\(.*?\)", "", str(settings.method))]
    return "-".join(filter(None, (_slug(name) for name in names))) + suffix


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:32]


def _short(value: Any) -> Any:
    """Floats as a person would write them."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _literal(value: Any) -> str:
    """Python source of a value, with the double quotes of our own code."""
    text = repr(value)
    return text if '"' in text else text.replace("'", '"')
