"""The encoders on offer: their labels, their layers, and whether their weights are here."""

import nstlib
from nstlib.encoders import checkpoints, networks

EMBEDDED = "vgg19-slim"
LABELS = {
    "vgg19-slim": "vgg19-slim: small, built in",
    "vgg19-random": "vgg19-random: untrained, a control",
    "vgg19": "vgg19: downloads 548 MB once",
    "vgg16": "vgg16: downloads 528 MB once",
    "resnet50": "resnet50: downloads 98 MB once",
}
RESNET50 = ["relu1", *(f"block{b}_{i}" for b, n in enumerate((3, 4, 6, 3), 2) for i in range(1, n + 1))]


def is_present(encoder: str) -> bool:
    """Whether the encoder's weights are on this machine. Downloads nothing."""
    if encoder not in checkpoints.SOURCES:
        return True
    return any(path.is_file() for _, path in checkpoints.places(encoder))


def layer_names(encoder: str) -> list[str]:
    """The layers of an encoder, without loading weights that may not be here."""
    if encoder == EMBEDDED:
        return list(nstlib.load_encoder(EMBEDDED).layers)
    if encoder == "resnet50":
        return RESNET50
    depths = networks.VGG_DEPTHS[encoder.removesuffix("-random")]
    places = [f"{block}_{i}" for block, depth in enumerate(depths, 1) for i in range(1, depth + 1)]
    return [f"{kind}{place}" for place in places for kind in ("conv", "relu")]
