"""Images and settings that keep the tests quick, and the marker of those that are `quick`."""

import os
from pathlib import Path

os.environ.setdefault("NSTLIB_DEVICE", "cpu")  # the same results with and without a GPU

import pytest

import nstlib  # isort: skip - before torch: it limits how long waiting threads spin
import torch
from filelock import FileLock
from torch import Tensor

from nstlib.__main__ import main

torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)

# `pytest tests -m quick`: the files that need no app, no browser and no long runs.
QUICK = """architecture checkpoints discrepancy docs features handouts image_files images inputs judge
    language more_discrepancies palette rearrangement synthesis threads transports wasserstein wishes
    witness"""
NOT_QUICK = {"test_the_style_of_the_code"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    quick = {f"test_{name}" for name in QUICK.split()}
    if gone := quick - {path.stem for path in Path(__file__).parent.rglob("test_*.py")}:
        raise pytest.UsageError(f"{__file__}: QUICK names files that are not there: {gone}")
    for item in items:
        if item.path.stem in quick and item.name not in NOT_QUICK:
            item.add_marker("quick")


@pytest.fixture(scope="session")
def onnx_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pass as ONNX files, for all methods. All processes share the folder: tracing takes long."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "onepass"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            assert main(["export", "onepass", "-o", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def content() -> Tensor:
    return nstlib.load_image("examples/contents/harbour.jpg", size=96)


@pytest.fixture(scope="session")
def style() -> Tensor:
    return nstlib.load_image("examples/styles/mosaic.jpg", size=80)
