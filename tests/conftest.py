"""Pictures and settings that keep the tests quick."""

import os

os.environ.setdefault("NSTLIB_DEVICE", "cpu")  # the same results with and without a GPU

import pytest

import nstlib  # isort: skip - before torch: it limits how long waiting threads spin
import torch
from torch import Tensor

torch.set_num_threads(2)


@pytest.fixture(scope="session")
def content() -> Tensor:
    return nstlib.load_image("examples/contents/harbour.jpg", size=96)


@pytest.fixture(scope="session")
def style() -> Tensor:
    return nstlib.load_image("examples/styles/mosaic.jpg", size=80)
