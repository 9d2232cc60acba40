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


def keep_memory(large: bool = False) -> bool:
    """Keep freed memory in the process. Return whether that worked, which needs glibc."""
    keep = (M_MMAP_MAX, 0) if large else (M_MMAP_THRESHOLD, 2**25)  # 32 MB is its upper bound
    options = ((M_TRIM_THRESHOLD, 2**31 - 1), keep, (M_ARENA_MAX, 1))
    return all(_call("mallopt", *option) for option in options)


def keep_little() -> bool:
    """Returns freed blocks over 4 MB to the kernel at once: for work on a large image in tiles.

    Otherwise blocks of other sizes lie between those that are kept, and the peak is higher: at 24 megapixels
    4.26 GB instead of 3.72 GB if blocks up to 24 MB are kept. The price is a third of the CPU time, in which
    the kernel clears pages.
    """
    options = ((M_TRIM_THRESHOLD, 2**22), (M_MMAP_THRESHOLD, 2**22))
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
