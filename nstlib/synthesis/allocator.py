"""Settings of the GNU C library's allocator (Linux), for applications; no library should change them.

Every step frees hundreds of megabytes and allocates them again. By default, the C library returns such blocks
to the kernel, which clears each page before it is used again. Keeping blocks up to 32 MB in the process saves
a tenth of a run's time. At 1024 px, keeping larger blocks, too, saves a further tenth, but with tiles it
takes up to half as much memory again. All threads share one pool. Otherwise, a server whose steps run in
changing threads would keep the peak in each of them.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8  # of mallopt(3)
MOST, ALL = 1 << 25, (1 << 31) - 1  # bytes: the upper bound of M_MMAP_THRESHOLD, and that of all options


def adjust_allocator(tile: int | None) -> bool:
    """Adjusts the allocator to a run in tiles of `tile` px, or on the whole image (None)."""
    tight = 24 << 20  # more than a map of tiles below 512 px, which a run uses in a tight budget
    return keep_memory(ALL if tile is None else MOST if tile >= 512 else tight)


def keep_memory(largest: int = MOST) -> bool:
    """Keeps freed blocks of at most `largest` bytes in the process. Returns whether that worked (with glibc).

    Values below `MOST` suit work on a large image in tiles. Unused memory then returns to the kernel at once,
    so gaps between blocks in use do not raise the peak. The price is CPU time to clear pages.
    """
    keep = (M_MMAP_MAX, 0) if largest > MOST else (M_MMAP_THRESHOLD, largest)
    trim = largest if largest < MOST else ALL
    options = ((M_ARENA_MAX, 1), (M_TRIM_THRESHOLD, trim), keep)
    return all(_call("mallopt", *option) for option in options) and (trim == ALL or give_back())


def give_back() -> bool:
    """Gives unused memory back to the kernel (with glibc), as on a server between two runs.

    Small objects in use lie among the freed blocks of past runs. Without this call, the process grows.
    """
    return _call("malloc_trim", 0)


def _call(function: str, *arguments: int) -> bool:
    try:
        return sys.platform.startswith("linux") and bool(getattr(ctypes.CDLL(None), function)(*arguments))
    except (OSError, AttributeError):  # a different C library
        return False
