"""What a bug report needs: versions, device, the dtype and why, the weights and where they are looked for."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from nstlib.encoders import checkpoints, precision
from nstlib.encoders.encoder import load_encoder, pick_device, working_devices
from nstlib.version import __version__


def doctor(_: object = None) -> int:
    """Prints it all; returns the exit code 0."""
    print(f"nstlib {__version__}, Python {platform.python_version()}, torch {torch.__version__}")
    try:
        print(f"torchvision {version('torchvision')}")
    except PackageNotFoundError:
        print("torchvision is missing: resnet50 does not work")
    dtype = load_encoder(dtype="auto").dtype_name
    print(f"device {pick_device()}, of those that work: {', '.join(working_devices())}")
    print(f"{torch.get_num_threads()} threads, dtype {dtype}{_why()}")
    for name in ("vgg19-slim", *checkpoints.SOURCES):
        for why, path in checkpoints.places(name):
            state = f"present, SHA-256 {checkpoints.sha256(path)[:12]}…" if path.is_file() else "absent"
            print(f"{name:11} {path} ({why}): {state}")
    return 0


def _why() -> str:
    """The reason for the dtype of the embedded encoder."""
    if forced := os.environ.get("NSTLIB_DTYPE"):
        return f" (NSTLIB_DTYPE={forced})"
    has = "multiplies" if precision.has_bfloat16(pick_device()) else "does not multiply"
    return f" (the device {has} bfloat16 in hardware)"
