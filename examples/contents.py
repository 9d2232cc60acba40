"""The drawn content pictures by name: each is a function of a random generator."""

from collections.abc import Callable

from brush import Generator
from content_harbour import harbour
from content_still_life import still_life
from content_valley import valley
from PIL import Image

CONTENTS: dict[str, Callable[[Generator], Image.Image]] = {
    "harbour": harbour,
    "valley": valley,
    "still_life": still_life,
}
