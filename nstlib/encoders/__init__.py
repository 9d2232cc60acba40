"""Encoders: networks that turn an image into the features of named layers, and the weights of these networks.

    encoder           `Encoder` and `load_encoder`
    networks          the networks of the encoders, as named stages
    windows           crops of an image whose features equal those of the whole image
    boxes             rows and columns of maps
    features          one pass through a network, which collects the features of some layers
    weight_files      how weight files are found, downloaded, checked and read
    precision         the choice between float32 and bfloat16
    weights/          the embedded encoder, with its model card

Read encoder, networks and features first. This package does not depend on any discrepancy.
"""

from nstlib.encoders.encoder import ENCODERS, Encoder, load_encoder
from nstlib.encoders.weight_files import WeightsError
from nstlib.encoders.windows import IMAGE, Window

__all__ = ["ENCODERS", "IMAGE", "Encoder", "WeightsError", "Window", "load_encoder"]
