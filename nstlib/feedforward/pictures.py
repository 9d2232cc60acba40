"""Training pictures: a folder, read when needed, the same crops for a seed on one machine or many."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nstlib.images import ImageError, load_image, suffixes
from nstlib.inputs import check_image
from nstlib.synthesis.pyramid import resized


def files_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """The image files of a folder and everything else that is not hidden, both sorted by name.

    Raises FileNotFoundError, or ImageError where there is no image.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    known = suffixes()
    files: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder.iterdir()):
        if not path.name.startswith("."):
            (files if path.suffix.lower() in known and path.is_file() else others).append(path)
    if not files:
        raise ImageError(f"no image in {folder}: looked for {', '.join(sorted(known))}")
    return files, others


class Pictures:
    """Random square crops. source: a folder, image files, or pictures (1, 3, H, W)."""

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
        self._bad: set[int] = set()

    def batch(self, generator: torch.Generator, count: int, mine: slice) -> Tensor:
        """Crops `mine` of a batch of `count`: (B, 3, size, size). The others are drawn, and not read."""
        draws = torch.rand(count, 5, generator=generator, dtype=torch.float32).tolist()
        return torch.cat([self.crop(draw) for draw in draws[mine]])

    def crop(self, draw: list[float]) -> Tensor:
        """One crop, from five numbers in [0, 1): which picture, scale, place, mirrored or not."""
        which, scale, down, across, flip = draw
        image = self.picture(int(which * len(self.items)))
        short, least = min(image.shape[2:]), self.size
        side = max(least, round(short * (1 - scale / 2)))  # of the shorter side after resizing
        if side != short:
            height, width = (max(least, round(length * side / short)) for length in image.shape[2:])
            image = resized(image, height, width)
        top, left = int(down * (image.shape[2] - least + 1)), int(across * (image.shape[3] - least + 1))
        crop = image[..., top : top + least, left : left + least]
        return crop.flip(-1) if flip < 0.5 else crop

    def picture(self, index: int) -> Tensor:
        """The picture at `index`, or the next one that can be read; one that cannot is warned about once."""
        for offset in range(len(self.items)):
            place = (index + offset) % len(self.items)
            item = self.items[place]
            if isinstance(item, Tensor):
                return check_image(item, f"images {place + 1}")
            if place in self._bad:
                continue
            try:
                return load_image(item)
            except (ImageError, OSError) as error:
                self._bad.add(place)
                warnings.warn(f"left out: {error}", RuntimeWarning, stacklevel=2)
        raise ImageError("none of the training pictures can be read")
