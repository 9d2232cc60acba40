"""What several benchmarks need: example images, the option parser, times, and sheets of images."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

import nstlib
from nstlib.synthesis.pyramid import resize_image

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def parser(description: str | None, size: int | None = None) -> argparse.ArgumentParser:
    """Returns a parser that a benchmark's first line describes, with --size where it has a default."""
    found = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    if size:
        found.add_argument("--size", type=int, default=size, help="longest side in pixels")
    return found


def example(name: str, size: int | None = None) -> Tensor:
    """Returns the image "contents/harbour" or the like, its longest side `size` px."""
    return nstlib.load_image(EXAMPLES / f"{name}.jpg", size)


def pair(content: str, style: str, size: int) -> tuple[Tensor, Tensor]:
    """Returns a content and a style of the examples."""
    return example(f"contents/{content}", size), example(f"styles/{style}", size)


def square(name: str, size: int) -> Tensor:
    """Returns the centre of an example image as size × size px."""
    image = example(name)
    side = min(image.shape[2:])
    top, left = ((n - side) // 2 for n in image.shape[2:])
    return resize_image(image[..., top : top + side, left : left + side], size, size)


def fastest(action: Callable[[], object], repeats: int = 5) -> float:
    """Returns the seconds of the fastest of some repeats, after one to warm up."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def sheet(rows: list[list[Tensor]], columns: list[str], file: Path, width: float = 2.2) -> None:
    """Writes images in rows and columns, each `width` inches wide, to an image file."""
    from nstlib import figures

    figures.setup()
    figures.image_grid(rows, columns=columns, width=width).savefig(file, dpi=110, pil_kwargs={"quality": 85})
