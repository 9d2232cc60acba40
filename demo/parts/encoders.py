"""The encoders on offer: what they are called, which layers they have, whether their weights are here."""

import nstlib
from nstlib.encoders import checkpoints

EMBEDDED = "vgg19-slim"
LABELS = {
    "vgg19-slim": "vgg19-slim: small, built in",
    "vgg19-random": "vgg19-random: untrained, a control",
    "vgg19": "vgg19: downloads 548 MB once",
    "vgg16": "vgg16: downloads 528 MB once",
    "resnet50": "resnet50: downloads 98 MB once",
}


def present(encoder: str) -> bool:
    """Whether the encoder's weights are on this machine: nothing is downloaded to find out."""
    if encoder not in checkpoints.SOURCES:
        return True
    return any(path.is_file() for _, path in checkpoints.places(encoder))


def layer_names(encoder: str) -> list[str]:
    """The layers a visitor may choose, without loading weights that may not be there."""
    if encoder == EMBEDDED:
        return list(nstlib.load_encoder(EMBEDDED).layers)
    if encoder == "resnet50":
        blocks = ((2, 3), (3, 4), (4, 6), (5, 3))
        return ["relu1", *(f"block{b}_{i}" for b, n in blocks for i in range(1, n + 1))]
    counts = (2, 2, 3, 3, 3) if encoder == "vgg16" else (2, 2, 4, 4, 4)
    places = [f"{b}_{i}" for b, n in enumerate(counts, 1) for i in range(1, n + 1)]
    return [f"{kind}{place}" for place in places for kind in ("conv", "relu")]
