"""Style transfer in one forward pass, by transport maps or by a network for one style.

    decoders      features of the embedded encoder → image, block by block
    pipeline      one pass at one size: encode, transport level by level, decode
    tiles         the same pass in tiles, for images that do not fit in memory as a whole
    memory        an estimate of the memory of a pass, and the choice of its tiles
    prepared      `onepass` and `prepare`: several sizes, regions, colours and the palette projection
    layers        the layers of a network for one style
    networks      networks for one style: architecture, weight files, the bundled ones
    norms         a network for one style, applied in tiles
    settings      the options of a training
    crops         the crops of the training images
    checkpoint    the file from which a training resumes
    distributed   several processes that share one task
    training      `train_feedforward`: trains a network with the objective of a run

For one pass, read alignment/transports, decoders, pipeline, tiles and prepared. For the networks, read
layers, networks, settings and training. The weights and their model cards are in `weights/`.
"""

from nstlib.feedforward.networks import FeedForward, load_feedforward
from nstlib.feedforward.pipeline import OnePass
from nstlib.feedforward.prepared import Prepared, onepass, prepare
from nstlib.feedforward.training import train_feedforward

__all__ = [
    "FeedForward",
    "OnePass",
    "Prepared",
    "load_feedforward",
    "onepass",
    "prepare",
    "train_feedforward",
]
