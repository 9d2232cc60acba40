"""Boxes are rows and columns of a map. The functions convert a box from one map to the next."""

from collections.abc import Iterator, Sequence
from itertools import product

Box = tuple[slice, slice]


def shift(part: slice, by: int) -> slice:
    """Returns the slice moved by `by` positions."""
    return slice(part.start + by, part.stop + by)


def missing(side: int, multiple: int) -> int:
    """Returns the padding that makes `side` a multiple of `multiple`."""
    return (side + multiple - 1) // multiple * multiple - side  # traced, `-side % multiple` is a long sum


def divide(side: int, step: int) -> list[slice]:
    """Divides a side into slices of the length `step`. The last slice may be shorter."""
    return [slice(start, min(start + step, side)) for start in range(0, side, step)]


def tiles(size: Sequence[int], step: int) -> Iterator[Box]:
    """Divides a map of `size` (H, W) into boxes with sides of `step`, which may be smaller at the end."""
    return product(*(divide(side, step) for side in size))  # type: ignore[return-value]


def within(box: Box, whole: Box) -> Box:
    """Returns the box relative to the start of `whole`, a box that contains it."""
    return shift(box[0], -whole[0].start), shift(box[1], -whole[1].start)


def enlarge(box: Box, ratio: int) -> Box:
    """Returns the same area on a map with `ratio` times as many rows and columns."""
    rows, columns = (slice(part.start * ratio, part.stop * ratio) for part in box)
    return rows, columns


def shrink(box: Box, ratio: int) -> Box:
    """Returns the same area on a map with 1/`ratio` of the rows and columns, rounded outwards."""
    rows, columns = (slice(part.start // ratio, -(-part.stop // ratio)) for part in box)
    return rows, columns


def widen(box: Box, reach: int, size: Sequence[int]) -> Box:
    """Adds `reach` rows and columns to each side of a box, within a map of `size` (H, W)."""
    rows, columns = (
        slice(max(0, part.start - reach), min(side, part.stop + reach))
        for part, side in zip(box, size, strict=True)
    )
    return rows, columns
