"""The region of a second style as a short text: one half of the image, or the cells that the user brushed.

""      no region: both styles are mixed everywhere
"left"  one half of the image: left, right, top or bottom
64 × 64 bits as 1024 hexadecimal digits, row by row: 1 where the user brushed
"""

import re

import numpy as np
import torch
from torch import Tensor

SIDE = 64  # cells along each side of a brushed mask
HALVES = ("left", "right", "top", "bottom")
BRUSHED = re.compile(rf"[0-9a-f]{{{SIDE * SIDE // 4}}}")


def check_region(text: object) -> str:
    """Returns the text if it names a region, or raises ValueError."""
    if isinstance(text, str) and (text in ("", *HALVES) or BRUSHED.fullmatch(text)):
        return text
    raise ValueError(f"a region must be {', '.join(HALVES)} or {SIDE * SIDE // 4} hexadecimal digits")


def masks(region: str) -> tuple[Tensor, ...]:
    """Returns the masks (64, 64) of the first and of the second style, with values 0 and 1; () for "".

    Raises ValueError if the brush marked nothing or everything.
    """
    if not check_region(region):
        return ()
    if region in HALVES:
        second = torch.zeros(SIDE, SIDE)
        by_axis = second if region in ("top", "bottom") else second.T
        start = 0 if region in ("left", "top") else SIDE // 2
        by_axis[start : start + SIDE // 2] = 1
    else:
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(region), np.uint8))
        second = torch.from_numpy(bits).float().view(SIDE, SIDE)
    if not 0 < float(second.mean()) < 1:
        raise ValueError("brush where the second style goes: a part of the image, not nothing and not all")
    return 1 - second, second
