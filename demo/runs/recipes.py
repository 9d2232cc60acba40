"""The recipe of an image of this app, for captions, restored settings and the code that makes it again.

A PNG stores the recipe beside that of the library, under the keys of `as_dict`. Anyone can write such a PNG,
so `Recipe.read` checks every value.
"""

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

import nstlib
from demo.runs.masks import check_region

# The fields of nstlib's own recipes. Everything else in a PNG is dropped.
RUN = {"kind", "settings", "size", "inputs", "unrecorded", "weights_sha256", "device", "versions", "threads"}
PASS = {"method", "levels", "rounds", "strength", "palette", "colours", "style_scale", "style_weights"}
LIBRARY = RUN | PASS | {"seed", "dtype"}
LONGEST = 20_000  # characters of a library recipe that the app accepts
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Source:
    """The SHA-256 of an image file, and its name; for an example, its path in the repository."""

    name: str = "image"
    sha256: str = ""

    @property
    def stem(self) -> str:
        return Path(self.name).stem


@lru_cache(maxsize=256)
def sha256(path: str) -> str:
    """The SHA-256 of a file. It can be cached, because this app never writes to a path twice."""
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def examples() -> dict[str, Path]:
    """SHA-256 → path of every example image."""
    return {sha256(str(path)): path for path in sorted(EXAMPLES.glob("*/*.jpg"))}


def identify(path: str) -> Source:
    digest = sha256(path)
    known = examples().get(digest)
    return Source(known.relative_to(EXAMPLES.parent).as_posix() if known else Path(path).name, digest)


@dataclass(frozen=True)
class Recipe:
    """The settings and the image files that made an image.

    Args:
        where: The region of the second style (see masks.py).
        blend: The opacity of the result over the content image, 0 … 1.
        step: The number of steps that were taken (0: one pass).
    """

    settings: nstlib.Settings
    content: Source = field(default_factory=Source)
    styles: tuple[Source, ...] = (Source(),)
    where: str = ""
    blend: float = 1.0
    step: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON values, from which `read` makes it again."""
        pictures = {"content": vars(self.content), "styles": [vars(style) for style in self.styles]}
        values = {name: getattr(self, name) for name in ("step", "where", "blend")}
        return {"settings": self.settings.as_dict(), "pictures": pictures} | values

    @classmethod
    def read(cls, found: dict[str, Any]) -> "Recipe":
        """Reads the recipe in a PNG that this app, the library or the command line has saved.

        Raises ValueError unless it is a valid recipe of a transfer, or of one pass made in this app.
        """
        if found.get("kind") not in ("transfer", "onepass") or not isinstance(found.get("settings"), dict):
            raise ValueError("its recipe is not of a style transfer made here")
        best_here = {"dtype": "auto", "memory": "auto"}
        try:
            settings = nstlib.Settings.from_dict(found["settings"] | best_here)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"its settings cannot be used: {error}") from error
        pictures = found.get("pictures")
        pictures = pictures if isinstance(pictures, dict) else {}
        listed = pictures.get("styles")
        styles = tuple(map(_read_source, listed[:2])) if isinstance(listed, list) else ()
        last = settings.iterations if found["kind"] == "transfer" else 0
        return cls(
            settings,
            _read_source(pictures.get("content")),
            styles or (Source(),),
            check_region(found.get("where", "")),
            min(1.0, max(0.0, _number(found.get("blend", 1.0)))),
            int(min(max(_number(found.get("step", last)), 0), settings.iterations)),
        )


def _read_source(found: Any) -> Source:
    name, digest = (found.get(key) if isinstance(found, dict) else None for key in ("name", "sha256"))
    is_digest = isinstance(digest, str) and HEX.fullmatch(digest)
    return Source(name[:200] if isinstance(name, str) and name else "image", digest if is_digest else "")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} in it is not a number")
    return float(value)
