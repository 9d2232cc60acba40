"""The presets as this place can run them, each with a line of help."""

import nstlib
from demo.parts.encoders import EMBEDDED, present
from demo.runs.limits import LIMITS

FIRST_SIZE = 256  # px: quick on two cores; a visitor can ask for more
FIRST = "polish"
WHAT = ("method", "gamma", "size", "colours", "style_scale")  # a preset says how; these stay as they are
HELP = {
    "polish": "one pass, then 12 steps",
    "draft": "32 steps from the photograph, a first look",
    "balanced": "80 steps from the photograph",
    "fine": "320 steps, until the loss has nearly settled",
    "paper": "Li et al. 2017, from noise, at most 1000 steps",
    "gatys": "Gatys et al. 2016, Gram matrices, from noise, 1000 steps",
    "tutorial": "the PyTorch tutorial's layers, 300 steps",
}


def choices() -> list[tuple[str, str]]:
    """(shown, name) of every preset, what is ours and quick first."""
    names = sorted(nstlib.PRESETS, key=list(HELP).index)
    return [(f"{name}: {HELP[name]}{_instead(name)}", name) for name in names]


def _instead(name: str) -> str:
    wanted = nstlib.PRESETS[name].encoder
    if fitting(name).encoder == wanted:
        return ""
    return f" ({wanted} needs a download: here with {EMBEDDED})"


def fitting(name: str) -> nstlib.Settings:
    """A preset as this place can run it, with the embedded encoder where its own is not on this machine: a
    size of its own stays, the usual one becomes `FIRST_SIZE`."""
    found = as_published(name)
    at_hand = found.encoder in LIMITS.encoders and present(found.encoder)
    return found if at_hand else found.replace(encoder=EMBEDDED)


def as_published(name: str) -> nstlib.Settings:
    """The same with the preset's own encoder, which a run may have to download."""
    found, usual = nstlib.PRESETS[name], nstlib.Settings()
    size = min(FIRST_SIZE if found.size == usual.size else found.size, LIMITS.size)
    return found.replace(size=size, iterations=min(found.iterations, LIMITS.steps))


def over(name: str, settings: nstlib.Settings) -> nstlib.Settings:
    """What a visitor has chosen, run as a preset says: what it leaves at the usual value of `WHAT` stays."""
    preset, usual = nstlib.PRESETS[name], nstlib.Settings()
    stays = {f: getattr(settings, f) for f in WHAT if getattr(preset, f) == getattr(usual, f)}
    return fitting(name).replace(**stays, seed=settings.seed, style_weights=settings.style_weights)
