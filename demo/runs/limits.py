"""What one visitor may ask for: read once from environment variables, with defaults safe for the place.

NSTLIB_MAX_SIZE     longest side of a run, px         1024 at home, 512 on a public host
NSTLIB_MAX_SECONDS  time one run may take             600 at home, 90 on a public host
NSTLIB_MAX_STEPS    optimisation steps of a run       3000 at home, 1000 on a public host
NSTLIB_QUEUE        runs that may wait                64
NSTLIB_MAX_UPLOAD   size of an uploaded file          30mb
NSTLIB_MAX_PIXELS   millions of pixels of a picture   64 at home, 24 on a public host
NSTLIB_MAX_STORE    uploads and results on disk, GB   8 at home, 2 on a public host
NSTLIB_ENCODERS     encoders on offer, by commas      all at home, the embedded ones on a public host
NSTLIB_HOSTS        more names of this host, by commas   none: IP addresses and local names work anyway
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

import nstlib

LOCAL_ENCODERS = ("vgg19-slim", "vgg19-random")  # these never download anything


@dataclass(frozen=True)
class Limits:
    """Bounds of a run and of the queue. pixels: of a picture as uploaded. store: bytes on disk.
    public: whether this is a Hugging Face Space. hosts: the names by which it may be addressed, besides IP
    addresses and local names."""

    size: int
    seconds: float
    steps: int
    queue: int
    upload: str
    pixels: int
    store: float
    encoders: tuple[str, ...]
    public: bool
    hosts: frozenset[str] = frozenset()


def read(environment: Mapping[str, str] = os.environ) -> Limits:
    """The limits for this process. Raises ValueError naming the variable that cannot be read."""
    public = "SPACE_ID" in environment

    def number(name: str, home: float, host: float, low: float) -> float:
        text = environment.get(name, "")
        try:
            return max(low, float(text)) if text else (host if public else home)
        except ValueError:
            raise ValueError(f"{name} must be a number, got {text!r}") from None

    def listed(name: str) -> list[str]:
        return [part.strip() for part in environment.get(name, "").split(",") if part.strip()]

    named = listed("NSTLIB_ENCODERS")
    if unknown := [name for name in named if name not in nstlib.ENCODERS]:
        known = ", ".join(nstlib.ENCODERS)
        raise ValueError(f"NSTLIB_ENCODERS names unknown encoders {', '.join(unknown)}; encoders are {known}")
    return Limits(
        size=int(number("NSTLIB_MAX_SIZE", 1024, 512, 64)),
        seconds=number("NSTLIB_MAX_SECONDS", 600, 90, 1),
        steps=int(number("NSTLIB_MAX_STEPS", 3000, 1000, 10)),
        queue=int(number("NSTLIB_QUEUE", 64, 64, 4)),
        upload=environment.get("NSTLIB_MAX_UPLOAD", "30mb"),
        pixels=int(1e6 * number("NSTLIB_MAX_PIXELS", 64, 24, 0.1)),
        store=1e9 * number("NSTLIB_MAX_STORE", 8, 2, 0.01),
        encoders=tuple(named) or (LOCAL_ENCODERS if public else nstlib.ENCODERS),
        public=public,
        hosts=frozenset(map(str.lower, (*listed("NSTLIB_HOSTS"), *listed("GRADIO_SERVER_NAME")))),
    )


def size_in_bytes(text: str) -> int:
    """ "30mb" → 30 000 000. Raises ValueError that names the variable."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?b)\s*", text.lower())
    if found is None:
        raise ValueError(f"NSTLIB_MAX_UPLOAD must be a size like 30mb, got {text!r}")
    return int(float(found[1]) * 1000 ** ("b", "kb", "mb", "gb", "tb").index(found[2]))


LIMITS = read()
