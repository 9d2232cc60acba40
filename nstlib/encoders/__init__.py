"""Image → features: networks cut into named layers, and their weights. This package knows no discrepancy.

    encoder           `Encoder` and `load_encoder`
    networks          the networks behind them, as named stages
    taps              one pass through a network, which reads the features off its maps
    checkpoints       weight files: how they are found, downloaded, checked and read
    precision         float32 or bfloat16, by the device's capabilities
    weights/          the embedded encoder, with its model card

Read encoder, networks, taps; the rest as needed.
"""

from nstlib.encoders.checkpoints import WeightsError
from nstlib.encoders.encoder import ENCODERS, Encoder, load_encoder

__all__ = ["ENCODERS", "Encoder", "WeightsError", "load_encoder"]
