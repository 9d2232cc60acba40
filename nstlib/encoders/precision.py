"""The arithmetic an encoder runs in: float32, or bfloat16 where a short timing shows that it pays.

Whether it pays cannot be told from a processor's name: with matrix units bfloat16 is several times as
fast, with plain vector instructions about equal, without either far slower. So the first run on a machine
times both, once for each encoder, and remembers the answer in a small file (the same run gives the
same picture tomorrow). Only the network is concerned: features leave it as float32.
"""

import contextlib
import hashlib
import json
import math
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

DType = Literal["auto", "float32", "bfloat16"]
DTYPES = ("auto", "float32", "bfloat16")

SIDE = 192  # px of the picture that is timed
REPEATS = 4  # of which the fastest counts
PATIENCE = 2.0  # seconds, then what was seen must do
QUIET = 0.6  # of its threads' time the timing must have been given: else it is not remembered
HOPELESS = 3  # times as slow at the first try: once more is enough
GAIN = 1.15  # bfloat16 must be this many times as fast: less is not worth its rounding

_known: dict[str, dict[str, Any]] = {}  # what this process has measured or read


def choose(
    name: str, device: torch.device, encode: Callable[[torch.dtype], Callable[[Tensor], Tensor]]
) -> str:
    """ "float32" or "bfloat16" for the encoder `name` on `device`.

    encode: dtype → a function from images (1, 3, H, W) to a scalar; its gradient is what is timed.
    $NSTLIB_DTYPE decides without measuring. Raises ValueError where that is not a known dtype.
    """
    if forced := os.environ.get("NSTLIB_DTYPE", ""):
        if forced not in DTYPES:
            raise ValueError(f"NSTLIB_DTYPE must be one of {', '.join(DTYPES)}, got {forced!r}")
        if forced != "auto":
            return forced
    key = f"{name} on {machine(device)}"
    if key not in _known:
        _known.update(_read())
    if key not in _known:
        _known[key] = measure(device, encode)
        if not _known[key].pop("disturbed"):  # else good enough for this process, not for every later one
            _write({**_read(), key: _known[key]})
    return str(_known[key]["dtype"])


def remembered(name: str, device: torch.device) -> dict[str, Any]:
    """What was measured for the encoder `name`; empty where nothing was."""
    key = f"{name} on {machine(device)}"
    return _known.get(key) or _read().get(key, {})


def measure(
    device: torch.device, encode: Callable[[torch.dtype], Callable[[Tensor], Tensor]]
) -> dict[str, Any]:
    """{"dtype": the choice, "float32": seconds, "bfloat16": seconds or None where it cannot run,
    "disturbed": whether other programs had a good part of the processor meanwhile}."""
    start, busy = time.perf_counter(), time.process_time()
    exact = encode(torch.float32)
    _seconds(exact, device)  # the first of each is slow: its memory is new
    base, other = _seconds(exact, device), math.inf
    with contextlib.suppress(RuntimeError, TypeError, NotImplementedError):  # a device without bfloat16
        rounded = encode(torch.bfloat16)
        first = _seconds(rounded, device)
        for _ in range(REPEATS if first < HOPELESS * base else 1):
            base = min(base, _seconds(exact, device))  # by turns: whatever else runs slows both
            other = min(other, _seconds(rounded, device))
            if time.perf_counter() - start > PATIENCE:
                break
    wall, busy = time.perf_counter() - start, time.process_time() - busy
    return {
        "dtype": "bfloat16" if other * GAIN < base else "float32",
        "float32": base,
        "bfloat16": other if other < math.inf else None,
        "disturbed": device.type == "cpu" and busy < QUIET * wall * torch.get_num_threads(),
    }


def _seconds(value: Callable[[Tensor], Tensor], device: torch.device) -> float:
    """Of one gradient."""
    x = torch.linspace(0, 1, 3 * SIDE * SIDE, device=device).view(1, 3, SIDE, SIDE).requires_grad_(True)
    start = time.perf_counter()
    with torch.enable_grad():  # whoever loads the encoder may be painting without
        (gradient,) = torch.autograd.grad(value(x), x)
    gradient.sum().item()  # waits for the device
    return time.perf_counter() - start


def machine(device: torch.device) -> str:
    """What the timing depends on, as one line: processor, threads, torch."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{device.type} {_processor()} {torch.get_num_threads()} threads"
    return f"{name}, torch {torch.__version__}"


def _processor() -> str:
    """Capability, and a hash of the flags: virtual machines share names, not instructions."""
    flags = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = "".join(dict.fromkeys(x for x in lines if x.startswith(("model name", "flags", "Features"))))
    return f"{torch.backends.cpu.get_cpu_capability()} {hashlib.sha256(flags.encode()).hexdigest()[:8]}"


def store() -> Path | None:
    """The file of remembered choices; deleting it makes every machine measure again. None without a home."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # neither $HOME nor an entry for this user, as in some containers
        return None
    return cache / "nstlib" / "precision.json"


def _read() -> dict[str, dict[str, Any]]:
    path = store()
    try:
        known = json.loads(path.read_text()) if path is not None and path.is_file() else {}
        return {k: v for k, v in known.items() if _is_choice(v)}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}  # none yet, or not ours: measured again


def _is_choice(value: Any) -> bool:
    """Whether it is what `measure` returns."""
    if not isinstance(value, dict) or value.get("dtype") not in DTYPES[1:]:
        return False
    return all(isinstance(value.get(name), float | None) for name in DTYPES[1:])


def _write(known: dict[str, dict[str, Any]]) -> None:
    path = store()
    if path is None:
        return
    part = path.with_name(f"{path.name}.{secrets.token_hex(6)}.part")
    with contextlib.suppress(OSError):  # a read-only home: measured once a process
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(json.dumps(known, indent=1))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
