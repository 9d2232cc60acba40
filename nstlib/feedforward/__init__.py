"""One forward pass instead of an optimisation: any style by a method's transport, or a network for one style.

    decoders      features of the embedded encoder → image, block by block
    pipeline      one pass at one size: encode, transport level by level, decode
    tiles         the same in tiles, for images of any size
    memory        how much memory a pass needs, and which tiles fit
    prepared      the whole call: several sizes, regions and colours; and what all strengths share
    layers        the layers of a network for one style
    networks      networks for one style: architecture, weight files, the bundled ones
    norms         a network for one style in tiles
    settings      every choice of a training
    crops         the crops of the training images
    checkpoint    the file from which a training resumes
    distributed   several processes for one task
    training      training a network with the objective of a run

Read alignment/transports, decoders, pipeline, tiles, prepared; for the networks: layers, networks, settings,
training. The weights and their model cards are in `weights/`.
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
