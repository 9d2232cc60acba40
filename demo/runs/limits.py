"""The limits for one user, read once from the environment variables in docs/reference/environment.md."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nstlib

HUGGING_FACE = ("https://huggingface.co", "https://*.hf.space")
SITE = re.compile(r"'self'|https?://(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:[0-9]{1,5})?", re.IGNORECASE)
STATIC = Path(__file__).parents[2] / "web" / "dist"  # web/build.py writes it
LOCAL_ENCODERS = ("vgg19-slim", "vgg19-random")  # these never download anything


@dataclass(frozen=True)
class Limits:
    """The values of the variables. public: whether this is a Hugging Face Space. frames: the sites that
    may embed the app, as sources of a content security policy. web: the address of the static page, or ""."""

    size: int
    first: int  # 0: measured by engine.first_size
    seconds: float
    steps: int
    queue: int
    upload: str
    pixels: int
    decode: float
    store: float
    encoders: tuple[str, ...]
    public: bool
    frames: tuple[str, ...]
    hosts: frozenset[str] = frozenset()
    web: str = ""


def read(environment: Mapping[str, str] = os.environ) -> Limits:
    """Reads the limits of this process. Raises a ValueError that names a variable with a wrong value."""
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
    if unknown := [name for name in named if name not in nstlib.encoders.ENCODERS]:
        known = ", ".join(nstlib.encoders.ENCODERS)
        raise ValueError(f"NSTLIB_ENCODERS names unknown encoders {', '.join(unknown)}; encoders are {known}")
    sites = [site for site in re.split(r"[,\s]+", environment.get("NSTLIB_FRAME_ANCESTORS", "")) if site]
    if wrong := [site for site in sites if not SITE.fullmatch(site)]:
        raise ValueError(f"NSTLIB_FRAME_ANCESTORS takes sites like https://school.example, got {wrong[0]!r}")
    web = environment.get("NSTLIB_WEB", "browser/" if (STATIC / "index.html").is_file() else "").strip()
    if not re.fullmatch(r"(https?://[^\s<>()\"]+)?|browser/", web):
        raise ValueError(f"NSTLIB_WEB must be an address like https://school.example/web/, got {web!r}")
    return Limits(
        size=int(number("NSTLIB_MAX_SIZE", 1024, 512, 64)),
        first=int(number("NSTLIB_SIZE", 0, 0, 0)),
        seconds=number("NSTLIB_MAX_SECONDS", 600, 90, 1),
        steps=int(number("NSTLIB_MAX_STEPS", 3000, 1000, 10)),
        queue=int(number("NSTLIB_QUEUE", 64, 64, 4)),
        upload=environment.get("NSTLIB_MAX_UPLOAD", "30mb"),
        pixels=int(1e6 * number("NSTLIB_MAX_PIXELS", 64, 24, 0.1)),
        decode=number("NSTLIB_MAX_DECODE", 6, 6, 0.1),
        store=1e9 * number("NSTLIB_MAX_STORE", 8, 2, 0.01),
        encoders=tuple(named) or (LOCAL_ENCODERS if public else nstlib.encoders.ENCODERS),
        public=public,
        frames=tuple(dict.fromkeys(("'self'", *(HUGGING_FACE if public else ()), *sites))),
        hosts=frozenset(map(str.lower, (*listed("NSTLIB_HOSTS"), *listed("GRADIO_SERVER_NAME")))),
        web=web,
    )


def size_in_bytes(text: str) -> int:
    """ "30mb" → 30 000 000. Raises a ValueError that names the variable."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?b)\s*", text.lower())
    if found is None:
        raise ValueError(f"NSTLIB_MAX_UPLOAD must be a size like 30mb, got {text!r}")
    return int(float(found[1]) * 1000 ** ("b", "kb", "mb", "gb", "tb").index(found[2]))


LIMITS = read()
