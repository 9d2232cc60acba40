"""Writes a caption of a recipe, and the Python code and the command that make its image again."""

import re
import shlex
import unicodedata
from pathlib import Path
from typing import Any

import nstlib
from demo.runs.recipes import Recipe
from nstlib.feedforward.prepared import gamma_to_strength

ALWAYS = ("method", "gamma", "size", "iterations", "seed")  # settings of a run that the code always states
SHARED = ("palette", "colours", "style_scale", "style_weights", "seed")  # settings that one pass uses, too
MASKS = ("mask-1.png", "mask-2.png")
COLOURS = {"style": "", "luminance": "the content's colours", "content": "colours in between"}


def caption(recipe: Recipe) -> str:
    """harbour × waves · linear · γ 1 · 256 px · 32 of 80 steps."""
    s, stems = recipe.settings, [style.stem for style in recipe.styles]
    if len(s.style_weights) == len(stems) > 1:
        shares = (round(100 * weight / sum(s.style_weights)) for weight in s.style_weights)
        stems = [f"{share} % {stem}" for share, stem in zip(shares, stems, strict=True)]
    of = "" if recipe.step == s.iterations else f" of {s.iterations}"
    parts = [
        f"{recipe.content.stem} × {' + '.join(stems)}",
        str(s.method),
        f"γ {s.gamma:.3g}",
        f"{s.size} px",
        COLOURS[s.colours],
        "" if s.style_scale == 1 else f"strokes × {s.style_scale:g}",
        f"{recipe.step}{of} steps" if recipe.step else "one pass",
        "" if recipe.blend == 1 else f"strength {round(100 * recipe.blend)} %",
    ]
    return " · ".join(filter(None, parts))


def arguments(recipe: Recipe) -> dict[str, Any]:
    """The options of the call that makes the image, by a run or by one pass."""
    s, usual = recipe.settings, nstlib.Settings()
    if recipe.step:
        values, default = s.as_dict(), usual.as_dict()
        return {name: value for name, value in values.items() if name in ALWAYS or value != default[name]}
    found = {"method": str(s.method), "strength": gamma_to_strength(s.gamma)}
    return found | {n: getattr(s, n) for n in SHARED if getattr(s, n) != getattr(usual, n)}


def python(recipe: Recipe) -> str:
    """A short script that makes the image again."""
    size = recipe.settings.size
    content, *styles = (
        f"nstlib.load_image({_literal(image.name)}, size={size})"
        for image in (recipe.content, *recipe.styles)
    )
    options = "".join(f"    {name}={_literal(value)},\n" for name, value in arguments(recipe).items())
    several = "[\n" + "".join(f"    {style},\n" for style in styles) + "]"
    lines = ["import nstlib\n", f"content = {content}", f"style = {several if styles[1:] else styles[0]}"]
    if recipe.where:
        lines.append(f"masks = [nstlib.images.load_mask(name) for name in {_literal(MASKS)}]")
        options += "    masks=masks,\n"
    call = f"(\n    content,\n    style,\n{options})"
    if not recipe.step:
        lines.append(f"image = nstlib.onepass{call}")
    elif recipe.step == recipe.settings.iterations:
        lines.append(f"image = nstlib.stylize{call}")
    else:
        lines += [
            f"for step in nstlib.transfer{call}:",
            f"    if step.index == {recipe.step}:  # the run was stopped here",
            "        break",
            "image = step.image",
        ]
    if recipe.blend != 1:
        lines.append(f"image = content.lerp(image, {_literal(recipe.blend)})")
    lines.append(f"nstlib.save_image(image, {_literal(result_name(recipe))})")
    return "\n".join(lines) + "\n"


def command(recipe: Recipe) -> str:
    """A shell command that makes the image again. It reads the settings from the downloaded PNG."""
    verb, saved = "transfer" if recipe.step else "onepass", result_name(recipe)
    images = [image.name for image in (recipe.content, *recipe.styles)]
    masks = ["--mask", *MASKS] if recipe.where else []
    return shlex.join(["nstlib", verb, *images, "--recipe", saved, *masks, "-o", "again.png"])


def result_name(recipe: Recipe) -> str:
    """The file name of a result."""
    return file_name(recipe.settings, recipe.content.name, *(style.name for style in recipe.styles))


def file_name(settings: nstlib.Settings, *images: str) -> str:
    """A name that says what made the image: harbour-waves-linear.png."""
    names = [*(Path(image).stem for image in images), re.sub(r"\(.*?\)", "", str(settings.method))]
    plain = (unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower() for name in names)
    words = (re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:32] for name in plain)
    return "-".join(filter(None, words)) + ".png"


def _literal(value: Any) -> str:
    """The Python source of a value, with double quotes and at most nine digits."""
    text = repr(float(f"{value:.9g}") if isinstance(value, float) else value)
    return text if '"' in text else text.replace("'", '"')
