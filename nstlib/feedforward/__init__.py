"""One forward pass instead of an optimisation: any style by a method's transport, or a network for one style.

    decoders      features of the embedded encoder → a picture, block by block
    chain         a photograph's features moved level by level while they become a picture again
    memory        what a pass will need, told before it starts
    frames        pictures and masks at sizes that its levels divide
    onepass       any style, any method, at one size: encode, move, decode
    prepared      whole calls: several sizes, regions, colours; what a slider need not ask for again
    networks      networks for one style: architecture, weight files, the shipped ones
    settings      every choice of a training
    checkpoint    the file that a training resumes from
    training      training one with the library's own objective
    pictures      the photographs it learns from
    distributed   several processes for one training or one folder

Read alignment/transports, then decoders, chain, onepass, prepared; for the networks: networks, settings,
training. The weights and their model cards are in `weights/`.
"""

from nstlib.feedforward.networks import FeedForward, load_feedforward
from nstlib.feedforward.onepass import OnePass
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
