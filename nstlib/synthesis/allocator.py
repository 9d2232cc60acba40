"""Settings of the GNU C library's allocator (Linux), for applications; no library should change them.

Every step frees hundreds of megabytes and asks for them again. By default the C library returns such blocks
to the kernel, which clears each page anew. To keep them in the process saves a tenth of a run's time. To keep
blocks over 32 MB, too (maps at 1024 px), saves a further tenth there, but with tiles it takes up to half as
much memory again. All threads share one pool, because a server whose steps run in changing threads would
otherwise keep its peak in every one of them.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8  # of mallopt(3)
MOST, ALL = 1 << 25, (1 << 31) - 1  # bytes: the upper bound of M_MMAP_THRESHOLD, and that of all options


def adjust_allocator(tile: int | None) -> bool:
    """Suits a run in tiles of `tile` px, or on the whole image at once (None), which needs no gaps."""
    tight = 24 << 20  # the maps of tiles below 512 px, which a run takes in a tight budget, are smaller
    return keep_memory(ALL if tile is None else MOST if tile >= 512 else tight)


def keep_memory(largest: int = MOST) -> bool:
    """Keeps freed blocks of at most `largest` bytes in the process. Returns whether that worked: with glibc.

    Less than `MOST` suits work on a large image in tiles: unused memory returns to the kernel at once, and
    no gaps between blocks in use raise the peak. The price is CPU time, in which the kernel clears pages.
    """
    keep = (M_MMAP_MAX, 0) if largest > MOST else (M_MMAP_THRESHOLD, largest)
    trim = largest if largest < MOST else ALL
    options = ((M_ARENA_MAX, 1), (M_TRIM_THRESHOLD, trim), keep)
    return all(_call("mallopt", *option) for option in options) and (trim == ALL or give_back())


def give_back() -> bool:
    """Returns unused memory to the kernel, where glibc can: for a server, between two runs.

    Small objects that stay lie scattered among the blocks of past runs; without this the process grows.
    """
    return _call("malloc_trim", 0)


def _call(function: str, *arguments: int) -> bool:
    try:
        return sys.platform.startswith("linux") and bool(getattr(ctypes.CDLL(None), function)(*arguments))
    except (OSError, AttributeError):  # a different C library
        return False
