"""Recipes: from pictures and settings to a run. The pipeline of the library, end to end.

`Settings` is the only source of defaults; the command line and the app build their controls from it.
A reconstruction is a transfer with fewer terms, not another loop.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nstlib.discrepancy import Discrepancy
from nstlib.features import Encoder, Pooling, load_encoder
from nstlib.methods import method as parse_method
from nstlib.objective import Objective, style_terms
from nstlib.synthesis import OptimizerName, Step, synthesize
