"""The arithmetic of an encoder: float32, or bfloat16 on processors that multiply bfloat16 in hardware.

The choice depends only on the processor's capabilities, so the same run gives the same image on a busy
machine. With AVX-512 BF16 (AMD Zen 5), bfloat16 computes a gradient at 192 px 1.6 times (embedded encoder) to
1.9 times (VGG-19) as fast as float32, and with AMX the ratio is larger. Without such instructions bfloat16 is
emulated and slower. Only the network computes in bfloat16; its features are float32.
"""

import os
from collections.abc import Mapping
from typing import Any, Literal

import torch

DType = Literal["auto", "float32", "bfloat16"]
DTYPES = ("auto", "float32", "bfloat16")


def choose(device: torch.device) -> str:
    """Returns "bfloat16" if `device` multiplies bfloat16 numbers in hardware, else "float32".

    The environment variable NSTLIB_DTYPE overrides this. Raises ValueError if its value is not in `DTYPES`.
    """
    forced = os.environ.get("NSTLIB_DTYPE") or "auto"
    if forced not in DTYPES:
        raise ValueError(f"NSTLIB_DTYPE must be one of {', '.join(DTYPES)}, got {forced!r}")
    if forced != "auto":
        return forced
    return "bfloat16" if has_bfloat16(device) else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Returns True if the hardware multiplies bfloat16: by AVX-512 BF16 or AMX on a CPU, from Ampere on CUDA.

    Returns False on other devices (MPS, ARM processors), for which there are no measurements.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    known: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older torch lacks it
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))
