"""Image → features: networks cut into named layers, and their weights. This package knows no discrepancy.

    encoder           `Encoder` and `load_encoder`
    networks          the networks behind them, as named stages
    windows           pieces of an image whose features are those of the whole image
    boxes             rows and columns of maps
    features          one pass through a network, which reads the features off its maps
    weight_files      how weight files are found, downloaded, checked and read
    precision         float32 or bfloat16, by the device's capabilities
    weights/          the embedded encoder, with its model card

Read encoder, networks, features; the rest as needed.
"""

from nstlib.encoders.encoder import ENCODERS, Encoder, load_encoder
from nstlib.encoders.weight_files import WeightsError
from nstlib.encoders.windows import IMAGE, Window

__all__ = ["ENCODERS", "IMAGE", "Encoder", "WeightsError", "Window", "load_encoder"]
