"""Image → features: networks cut into named layers, and their weights. Knows no discrepancy.

    encoder           `Encoder` and `load_encoder`
    networks          the networks behind them, as named stages
    taps              one pass through a network: which maps are read off, at what cost
    checkpoints       weight files: where they are looked for, how they are checked and read
    precision         float32 or bfloat16, by the device's capabilities
    torchvision_cpu   torchvision beside a CPU build of torch
    weights/          the embedded encoder, with its model card

Read encoder, networks, taps; the rest as needed.
"""

from nstlib.encoders.checkpoints import WeightsError
from nstlib.encoders.encoder import ENCODERS, Encoder, load_encoder

__all__ = ["ENCODERS", "Encoder", "WeightsError", "load_encoder"]
