"""What made a picture, from its recipe: a caption, and the Python and the command that make it again."""

import re
import shlex
import unicodedata
from pathlib import Path
from typing import Any

import nstlib
from demo.runs.recipes import Recipe
from nstlib.feedforward.prepared import strength_at

PASSED = ("palette", "colours", "style_scale", "style_weights", "seed")  # settings that one pass has, too
MASKS = ("mask-1.png", "mask-2.png")
COLOURS = {"style": "", "luminance": "the photograph's colours", "content": "both colours"}


def caption(recipe: Recipe) -> str:
    """harbour × waves · linear · γ 1 · 256 px · stopped at 32 of 80."""
    s, stems = recipe.settings, [style.stem for style in recipe.styles]
    weights = s.style_weights if len(s.style_weights) == len(stems) > 1 else ()
    if weights:
        stems = [f"{round(100 * w / sum(weights))} % {stem}" for w, stem in zip(weights, stems, strict=True)]
    parts = [
        f"{recipe.content.stem} × {' + '.join(stems)}",
        str(s.method),
        f"γ {s.gamma:.3g}",
        f"{s.size} px",
        COLOURS[s.colours],
        "" if s.style_scale == 1 else f"strokes × {s.style_scale:g}",
        how(recipe),
        "" if recipe.blend == 1 else f"strength {round(100 * recipe.blend)} %",
    ]
    return " · ".join(filter(None, parts))


def how(recipe: Recipe) -> str:
    total = recipe.settings.iterations
    if not recipe.step:
        return "one pass"
    return f"{total} steps" if recipe.step == total else f"stopped at {recipe.step} of {total}"


def changes(settings: nstlib.Settings) -> dict[str, Any]:
    """The settings that are not the library's defaults; always with method, γ, size, steps and seed."""
    default, values = nstlib.Settings().as_dict(), settings.as_dict()
    always = ("method", "gamma", "size", "iterations", "seed")
    return {k: v for k, v in values.items() if k in always or v != default[k]}


def passed(recipe: Recipe) -> dict[str, Any]:
    """What one pass is called with."""
    settings, usual = recipe.settings, nstlib.Settings()
    also = {name: getattr(settings, name) for name in PASSED}
    found = {"method": str(settings.method), "strength": strength_at(settings.gamma), "detail": recipe.detail}
    return found | {name: value for name, value in also.items() if value != getattr(usual, name)}


def python(recipe: Recipe) -> str:
    """A script of a few lines."""
    size = recipe.settings.size
    files = [f"nstlib.load_image({_literal(picture.name)}, size={size})" for picture in recipe.styles]
    one = len(files) == 1
    wanted = changes(recipe.settings) if recipe.step else passed(recipe)
    arguments = "".join(f"    {name}={_literal(_short(value))},\n" for name, value in wanted.items())
    lines = [
        "import nstlib\n",
        f"content = nstlib.load_image({_literal(recipe.content.name)}, size={size})",
        f"style = {files[0]}" if one else "style = [\n" + "".join(f"    {file},\n" for file in files) + "]",
    ]
    if recipe.where:
        lines.append(f"masks = [nstlib.load_image(name).mean(1, keepdim=True) for name in {_literal(MASKS)}]")
        arguments += "    masks=masks,\n"
    call = f"(\n    content,\n    style,\n{arguments})"
    if not recipe.step:
        lines.append(f"image = nstlib.onepass{call}")
    elif recipe.step == recipe.settings.iterations:
        lines.append(f"image = nstlib.stylize{call}")
    else:
        lines += [
            f"for step in nstlib.transfer{call}:",
            f"    if step.index == {recipe.step}:  # where it was stopped",
            "        break",
            "image = step.image",
        ]
    if recipe.blend != 1:
        lines.append(f"image = content.lerp(image, {_short(recipe.blend)})")
    lines.append(f"nstlib.save_image(image, {_literal(named(recipe))})")
    return "\n".join(lines) + "\n"


def command(recipe: Recipe) -> str:
    """One command for a shell, and in a comment what only the Python can do."""
    verb, wanted = ("transfer", changes(recipe.settings)) if recipe.step else ("onepass", passed(recipe))
    if not recipe.step:
        wanted["size"] = recipe.settings.size
    parts = ["python", "-m", "nstlib", verb, recipe.content.name, *(style.name for style in recipe.styles)]
    parts += ["-o", named(recipe)]
    for name, value in wanted.items():
        words = [str(v) for v in value] if isinstance(value, tuple | list) else [str(_short(value))]
        parts += [f"--{name.replace('_', '-')}", *words]
    notes = []
    if 0 < recipe.step < recipe.settings.iterations:
        notes.append(f"press Ctrl-C at step {recipe.step}")
    if recipe.blend != 1:
        notes.append(f"then lay it over the photograph at {round(100 * recipe.blend)} %, as the Python does")
    return shlex.join(parts + (["--mask", *MASKS] if recipe.where else [])) + "".join(
        f"\n# {note}" for note in notes
    )


def named(recipe: Recipe) -> str:
    """The name of a result's file."""
    return file_name(recipe.settings, recipe.content.name, *(style.name for style in recipe.styles))


def file_name(settings: nstlib.Settings, *pictures: str, suffix: str = ".png") -> str:
    """A name that says what the picture is: harbour-waves-linear.png."""
    names = [*(Path(picture).stem for picture in pictures), re.sub(r"\(.*?\)", "", str(settings.method))]
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
