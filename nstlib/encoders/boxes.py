"""Boxes: rows and columns of a map, and how they change from one map to the next."""

from collections.abc import Iterator, Sequence
from itertools import product

Box = tuple[slice, slice]


def shift(part: slice, by: int) -> slice:
    """Returns a slice that starts and stops `by` later."""
    return slice(part.start + by, part.stop + by)


def missing(side: int, multiple: int) -> int:
    """Returns how much a side lacks to the next multiple. In a trace, `-side % multiple` is a long sum."""
    return (side + multiple - 1) // multiple * multiple - side


def divide(side: int, step: int) -> list[slice]:
    """Returns the slices of `step` that cover a side; the last may be shorter."""
    return [slice(start, min(start + step, side)) for start in range(0, side, step)]


def tiles(size: Sequence[int], step: int) -> Iterator[Box]:
    """Yields boxes with sides of `step`, which together cover a map of `size` (H, W)."""
    return product(*(divide(side, step) for side in size))  # type: ignore[return-value]


def within(box: Box, whole: Box) -> Box:
    """Returns the rows and columns of a box, counted from the start of a box that contains it."""
    return shift(box[0], -whole[0].start), shift(box[1], -whole[1].start)


def enlarge(box: Box, ratio: int) -> Box:
    """Returns the box on a map with `ratio` times as many rows and columns."""
    rows, columns = (slice(part.start * ratio, part.stop * ratio) for part in box)
    return rows, columns


def shrink(box: Box, ratio: int) -> Box:
    """Returns the box on a map with a `ratio`-th of the rows and columns, rounded outwards."""
    rows, columns = (slice(part.start // ratio, -(-part.stop // ratio)) for part in box)
    return rows, columns


def widen(box: Box, reach: int, size: Sequence[int]) -> Box:
    """Returns the box with `reach` more rows and columns on each side, as far as the map (H, W) goes."""
    rows, columns = (
        slice(max(0, part.start - reach), min(side, part.stop + reach))
        for part, side in zip(box, size, strict=True)
    )
    return rows, columns
