"""Random crops of training images. A seed gives the same crops, however many processes share them."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nstlib.images import ImageError, load_image, suffixes
from nstlib.inputs import check_image
from nstlib.synthesis.pyramid import resize_image
from nstlib.version import no_such

# A crop counts as a single colour if no channel's standard deviation is above this (a quarter of 1/255).
FLAT = 1e-3
TRIES = 32  # number of crops to try before giving up, if all of them show a single colour


def files_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the image files of a folder, and all other entries that are not hidden, sorted by name.

    Raises:
        FileNotFoundError: the folder does not exist.
        ImageError: the folder holds no image file.
    """
    if not folder.is_dir():
        raise FileNotFoundError(no_such("folder", folder))
    known = suffixes()
    files: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder.iterdir()):
        if not path.name.startswith("."):
            (files if path.suffix.lower() in known and path.is_file() else others).append(path)
    if not files:
        raise ImageError(f"no image in {folder}: looked for {', '.join(sorted(known))}")
    return files, others


class Crops:
    """Random square crops of `size` px. The source is a folder, or image files and images (1, 3, H, W)."""

    def __init__(self, source: str | Path | Iterable[str | Path | Tensor], size: int) -> None:
        self.items: Sequence[str | Path | Tensor] = (
            files_in(Path(source))[0] if isinstance(source, str | Path) else list(source)
        )
        if not self.items:
            raise ValueError("images: training needs at least one")
        for k, item in enumerate(self.items, 1):
            if not isinstance(item, str | Path):
                check_image(item, f"images {k}")
        self.size = size
        self._unreadable: set[int] = set()

    def batch(self, generator: torch.Generator, count: int, mine: slice) -> Tensor:
        """Returns the crops `mine` of a batch of `count` crops, (B, 3, size, size). Reads only these."""
        draws = torch.rand(count, 5, generator=generator, dtype=torch.float32).tolist()
        return torch.cat([self.crop(draw) for draw in draws[mine]])

    def crop(self, draw: Sequence[float]) -> Tensor:
        """Returns the crop that five numbers in [0, 1) choose, or a different one if it has a single colour.

        On a crop without variance the gradient overflows: each instance norm multiplies it by 1/√ε.

        Raises:
            ImageError: all crops that were tried show a single colour.
        """
        for k in range(TRIES):
            crop = self._cut([(x + 0.618 * k) % 1 for x in draw])
            if float(crop.std((-2, -1)).max()) > FLAT:
                return crop
        raise ImageError(f"{TRIES} crops of the training images show a single colour: give photos")

    def _cut(self, draw: Sequence[float]) -> Tensor:
        """Returns a crop. Five numbers in [0, 1) choose the image, the scale, top, left, and mirroring."""
        which, scale, down, across, flip = draw
        image, size = self.image(int(which * len(self.items))), self.size
        short = min(image.shape[2:])
        side = max(size, round(short * (1 - scale / 2)))  # length of the shorter side after resizing
        image = resize_image(image, *(max(size, round(n * side / short)) for n in image.shape[2:]))
        top, left = int(down * (image.shape[2] - size + 1)), int(across * (image.shape[3] - size + 1))
        crop = image[..., top : top + size, left : left + size]
        return crop.flip(-1) if flip < 0.5 else crop

    def image(self, index: int) -> Tensor:
        """Returns the image at `index`, or the next readable one. Warns once about each unreadable file."""
        for offset in range(len(self.items)):
            place = (index + offset) % len(self.items)
            item = self.items[place]
            if isinstance(item, Tensor):
                return check_image(item, f"images {place + 1}")
            if place not in self._unreadable:
                try:
                    return load_image(item)
                except (ImageError, OSError) as error:
                    self._unreadable.add(place)
                    warnings.warn(f"left out: {error}", RuntimeWarning, stacklevel=2)
        raise ImageError("none of the training images can be read")
