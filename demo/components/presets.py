"""The encoders, their layers and the presets that this host offers."""

import nstlib
from demo.runs.limits import LIMITS
from nstlib.encoders import networks, weight_files

EMBEDDED = "vgg19-slim"
LABELS = {
    "vgg19-slim": "vgg19-slim: small, built in",
    "vgg19-random": "vgg19-random: untrained, a control",
    "vgg19": "vgg19: downloads 548 MB once",
    "vgg16": "vgg16: downloads 528 MB once",
    "resnet50": "resnet50: downloads 98 MB once",
}
RESNET50 = ["relu1", *(f"block{b}_{i}" for b, n in enumerate((3, 4, 6, 3), 2) for i in range(1, n + 1))]
FIRST_SIZE = 256  # px: quick on two cores, and a user can ask for more
FIRST = "draft"  # its 24 steps give nearly the same image as "balanced"
WHAT = ("method", "gamma", "colours", "style_scale")  # what to make; a preset says how to make it
HELP = {
    "draft": "24 steps",
    "balanced": "80 steps",
    "fine": "320 steps",
    "polish": "one pass + 12 steps",
    "paper": "Li et al. 2017",
    "gatys": "Gatys et al. 2016",
    "tutorial": "PyTorch tutorial",
}


def choices() -> list[tuple[str, str]]:
    """(label, name) of every preset, in the order of `HELP`."""
    names = sorted(nstlib.PRESETS, key=list(HELP).index)
    other = {name for name in names if adapted(name).encoder != nstlib.PRESETS[name].encoder}
    return [(f"{name}: {HELP[name]}" + f" (with {EMBEDDED})" * (name in other), name) for name in names]


def adapted(name: str) -> nstlib.Settings:
    """A preset that this host can run. The embedded encoder replaces one that is not available here."""
    found = published(name)
    here = found.encoder in LIMITS.encoders and is_present(found.encoder)
    return found if here else found.replace(encoder=EMBEDDED)


def published(name: str) -> nstlib.Settings:
    """A preset with its own encoder, which may need a download. Its default size becomes `FIRST_SIZE`."""
    found, usual = nstlib.PRESETS[name], nstlib.Settings()
    size = min(FIRST_SIZE if found.size == usual.size else found.size, LIMITS.size)
    return found.replace(size=size, iterations=min(found.iterations, LIMITS.steps))


def apply(name: str, settings: nstlib.Settings) -> nstlib.Settings:
    """The settings of a preset. It keeps the user's size, seed and style weights, and the user's value of
    each field in `WHAT` that the preset leaves at its default."""
    preset, usual = nstlib.PRESETS[name], nstlib.Settings()
    stays = {f: getattr(settings, f) for f in WHAT if getattr(preset, f) == getattr(usual, f)}
    stays["size"] = settings.size
    return adapted(name).replace(**stays, seed=settings.seed, style_weights=settings.style_weights)


def is_present(encoder: str) -> bool:
    """Whether the encoder's weights are on this machine. It downloads nothing."""
    if encoder not in weight_files.SOURCES:
        return True
    return any(path.is_file() for _, path in weight_files.places(encoder))


def layer_names(encoder: str) -> list[str]:
    """The names of an encoder's layers. It loads no weights, because they may not be here."""
    if encoder == "resnet50":
        return RESNET50
    depths = networks.VGG_DEPTHS[encoder.removesuffix("-random")]
    places = [f"{block}_{i}" for block, depth in enumerate(depths, 1) for i in range(1, depth + 1)]
    return [f"{kind}{place}" for place in places for kind in ("conv", "relu")]
