"""What made a picture of this app, in one value: the caption, the snippets and the restoring all read it.

A PNG carries it beside the library's own recipe, under the names of `EXTRA`; anybody may have written such a
PNG, so `Recipe.read` believes nothing.
"""

import math
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Any

import nstlib
from demo.runs.masks import check as check_where

EXTRA = ("settings", "step", "pictures", "where", "detail", "blend")
# The fields of nstlib's own recipes; what else a PNG carries is not kept.
RUN = {"kind", "settings", "size", "inputs", "unrecorded", "weights_sha256", "device", "versions", "threads"}
PASS = {"method", "levels", "rounds", "strength", "palette", "colours", "style_scale", "style_weights"}
LIBRARY = RUN | PASS | {"seed", "dtype"}
LONGEST = 20_000  # characters of a recipe that a session keeps
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DETAIL = 0.5  # of the photograph's fine detail in one pass: less is more painterly
HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Named:
    """A picture by its name (an example's from the repository's root) and the SHA-256 of its file."""

    name: str = "picture"
    sha256: str = ""

    @property
    def stem(self) -> str:
        return Path(self.name).stem


@lru_cache(maxsize=256)
def sha256(path: str) -> str:
    """Of the file; paths here are never written twice."""
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def examples() -> dict[str, Path]:
    """SHA-256 → path of every example picture."""
    return {sha256(str(path)): path for path in sorted(EXAMPLES.glob("*/*.jpg"))}


def named(path: str) -> Named:
    digest = sha256(path)
    known = examples().get(digest)
    return Named(known.relative_to(EXAMPLES.parent).as_posix() if known else Path(path).name, digest)


@dataclass(frozen=True)
class Recipe:
    """step: after how many steps the picture is (0: one pass). where: see masks.py. detail: of one pass.
    blend: how much of the picture is laid over the photograph, 0 … 1."""

    settings: nstlib.Settings
    content: Named = field(default_factory=Named)
    styles: tuple[Named, ...] = (Named(),)
    where: str = ""
    detail: float = DETAIL
    blend: float = 1.0
    step: int = 0

    @property
    def wish(self) -> tuple[Any, ...]:
        """What one pass depends on: two recipes of one wish have the same one-pass picture."""
        s = self.settings
        look = (str(s.method), s.gamma, s.size, s.colours, s.style_scale, s.style_weights, s.palette, s.seed)
        shas = tuple(picture.sha256 for picture in (self.content, *self.styles))
        return (*look, self.where, self.detail, *shas)

    def blended(self, blend: float) -> "Recipe":
        return replace(self, blend=min(1.0, max(0.0, blend)))

    def as_dict(self) -> dict[str, Any]:
        """The fields of `EXTRA`, as plain JSON values."""
        content, *styles = (vars(picture) for picture in (self.content, *self.styles))
        return {
            "settings": self.settings.as_dict(),
            "step": self.step,
            "pictures": {"content": content, "styles": styles},
            "where": self.where,
            "detail": self.detail,
            "blend": self.blend,
        }

    @classmethod
    def read(cls, found: dict[str, Any]) -> "Recipe":
        """From a PNG's recipe, also of one that the library or the command line made. Raises ValueError for
        what no run of this app or of `nstlib.transfer` writes."""
        if found.get("kind") not in ("transfer", "onepass") or not isinstance(found.get("settings"), dict):
            raise ValueError("its recipe is not of a style transfer made here")
        try:
            there = {"dtype": "auto", "memory": "auto"}  # what was best on that machine
            settings = nstlib.Settings.from_dict(found["settings"] | there)
            _plain(settings)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"its settings cannot be used: {error}") from error
        pictures = found.get("pictures")
        pictures = pictures if isinstance(pictures, dict) else {}
        listed = pictures.get("styles")
        styles = tuple(map(_named, listed[:2])) if isinstance(listed, list) else ()
        last = settings.iterations if found["kind"] == "transfer" else 0
        return cls(
            settings,
            _named(pictures.get("content")),
            styles or (Named(),),
            check_where(found.get("where", "")),
            _share(found.get("detail", DETAIL)),
            _share(found.get("blend", 1.0)),
            int(min(max(_number(found.get("step", last)), 0), settings.iterations)),
        )


def _plain(settings: nstlib.Settings) -> None:
    """Raises ValueError where a list holds anything but what it should."""
    numbers = (*settings.layer_weights, *settings.style_weights)
    layers = (*settings.style_layers, *settings.content_layers)
    if not all(isinstance(name, str) for name in layers) or not isinstance(settings.method, str):
        raise ValueError("a layer or the method is no text")
    if len(numbers) + len(layers) > 200 or not all(_number(number) >= 0 for number in numbers):
        raise ValueError("a weight is negative, or there are too many")


def _named(found: Any) -> Named:
    name, digest = (found.get(key) if isinstance(found, dict) else None for key in ("name", "sha256"))
    known = isinstance(digest, str) and HEX.fullmatch(digest)
    return Named(name[:200] if isinstance(name, str) and name else "picture", digest if known else "")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} in it is no number")
    return float(value)


def _share(value: Any) -> float:
    return min(1.0, max(0.0, _number(value)))
