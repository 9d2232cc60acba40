"""The arithmetic of an encoder: float32, or bfloat16 on processors that multiply bfloat16 in hardware.

The choice follows from the processor's capabilities alone, so it is the same on an idle and on a busy
machine, and the same run gives the same image. With AVX-512 BF16 (AMD Zen 5) a gradient at 192 px takes 1.6
(embedded encoder) to 1.9 times (VGG-19) as long in float32 as in bfloat16; with AMX the ratio is larger.
Without such instructions bfloat16 is emulated and slower. Only the network is concerned: features leave it as
float32.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch

DType = Literal["auto", "float32", "bfloat16"]
DTYPES = ("auto", "float32", "bfloat16")


def choose(device: torch.device) -> str:
    """Return "bfloat16" where `device` multiplies bfloat16 numbers in hardware, else "float32".

    The environment variable NSTLIB_DTYPE overrides the rule. Raises ValueError where it is not a known dtype.
    """
    forced = os.environ.get("NSTLIB_DTYPE") or "auto"
    if forced not in DTYPES:
        raise ValueError(f"NSTLIB_DTYPE must be one of {', '.join(DTYPES)}, got {forced!r}")
    if forced != "auto":
        return forced
    return "bfloat16" if has_bfloat16(device) else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products run in hardware: AVX-512 BF16 or AMX on a CPU, tensor cores (Ampere) on CUDA.

    False on other devices (MPS, ARM processors): nobody has measured them, and float32 is exact everywhere.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    tell: Callable[[], Mapping[str, Any]] = getattr(
        torch.cpu, "get_capabilities", dict
    )  # older torch has none
    capabilities = tell()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
