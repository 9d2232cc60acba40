"""Settings of the GNU C library's allocator (Linux), for applications; no library should change them.

Every step frees hundreds of megabytes and asks for them again. By default the C library returns such blocks
to the kernel, which clears each page anew. `keep_memory` keeps them in the process, which saves a tenth of a
run's time. Blocks over 32 MB (maps at 1024 px) are kept only with `large`: that saves a further tenth there,
but a checkpointed run then takes up to half as much memory again. All threads share one pool, because a
server whose steps run in changing threads would otherwise keep its peak in every one of them.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8  # of mallopt(3)

SMALL_TILE = 512  # px: smaller tiles are taken where the budget is tight
TILE_MAPS = 24 << 20  # bytes: the maps of small tiles are smaller, and to clear them anew takes long


def adjust_allocator(tile: int | None) -> bool:
    """Suits a run in tiles of `tile` px, or on the whole image at once (None), which needs no gaps."""
    if tile is not None and tile < SMALL_TILE:
        return keep_little(TILE_MAPS)
    return keep_memory(large=tile is None)


def keep_memory(large: bool = False) -> bool:
    """Keep freed memory in the process. Return whether that worked, which needs glibc."""
    keep = (M_MMAP_MAX, 0) if large else (M_MMAP_THRESHOLD, 2**25)  # 32 MB is its upper bound
    options = ((M_TRIM_THRESHOLD, 2**31 - 1), keep, (M_ARENA_MAX, 1))
    return all(_call("mallopt", *option) for option in options)


def keep_little(largest: int = 2**22) -> bool:
    """Returns freed blocks over `largest` bytes to the kernel at once: for work on a large image in tiles.

    Otherwise blocks of other sizes lie between those that are kept, and the peak is higher. The price is CPU
    time, in which the kernel clears pages.
    """
    options = ((M_TRIM_THRESHOLD, largest), (M_MMAP_THRESHOLD, largest))
    return all(_call("mallopt", *option) for option in options) and give_back()


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
