"""Where a second style goes, as a short text: a side of the picture, or what a visitor brushed.

""      nowhere in particular: both styles are mixed everywhere
"left"  a half of the picture: left, right, top or bottom
64 × 64 bits as 1024 hexadecimal digits, row by row: 1 where the brush was
"""

import re

import torch
from torch import Tensor

SIDE = 64  # cells along each side of a brushed mask
HALVES = ("left", "right", "top", "bottom")
BRUSHED = re.compile(rf"[0-9a-f]{{{SIDE * SIDE // 4}}}")


def check(where: object) -> str:
    """The text, if it is one of these. Raises ValueError."""
    if isinstance(where, str) and (where in ("", *HALVES) or BRUSHED.fullmatch(where)):
        return where
    raise ValueError(f"a region is {', '.join(HALVES)} or {SIDE * SIDE // 4} hexadecimal digits")


def masks(where: str) -> tuple[Tensor, ...]:
    """The masks (64, 64) of the first style and of the second, in {0, 1}; none for "". Raises ValueError
    where nothing was brushed, or everything."""
    if not check(where):
        return ()
    second = torch.zeros(SIDE, SIDE)
    if where in HALVES:
        half = SIDE // 2
        place = {"left": (slice(None), slice(half)), "right": (slice(None), slice(half, None))}
        place |= {"top": (slice(half), slice(None)), "bottom": (slice(half, None), slice(None))}
        second[place[where]] = 1
    else:
        bits = [int(bit) for digit in where for bit in f"{int(digit, 16):04b}"]
        second = torch.tensor(bits, dtype=torch.float32).view(SIDE, SIDE)
    if not 0 < float(second.mean()) < 1:
        raise ValueError("brush where the second style goes: a part of the picture, not all of it")
    return 1 - second, second
