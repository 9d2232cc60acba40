"""The encoders on offer: what they are called, which layers they have, whether their weights are here."""

import nstlib
from nstlib.encoders import checkpoints

EMBEDDED = "vgg19-slim"
LIKE_VGG19 = (EMBEDDED, "vgg19", "vgg19-random")  # all have VGG-19's layer names
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
    if encoder in LIKE_VGG19:
        return list(nstlib.load_encoder("vgg19-random").layers)
    if encoder == "resnet50":
        return [
            "relu1",
            *(f"block{b}_{i + 1}" for b, n in ((2, 3), (3, 4), (4, 6), (5, 3)) for i in range(n)),
        ]
    return [f"relu{b}_{i + 1}" for b, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(n)]  # VGG-16
