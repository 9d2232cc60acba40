"""Memory that is freed stays with the process: a tenth of a run's time, on Linux.

Every step frees hundreds of megabytes and asks for them again. By default the C library hands such
blocks back to the kernel, which clears each page anew. This keeps them: the process holds its peak until
it ends. For programs of our own (the command line, the app, the benchmarks): no library should do this.

Blocks over 32 MB (maps at 1024 px) are kept only where glibc may never map memory, with `large`. That saves
another tenth there; but a checkpointed run, whose blocks come and go in another order, then leaves gaps: it
took up to half as much memory again.

All threads share what is kept. By default each has a pool of its own, and a server whose steps run now in
one thread, now in another would keep its peak in every one of them.
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -3, -4, -8  # of mallopt(3)


def keep_memory(large: bool = False) -> bool:
    """Whether it was done: only glibc knows how."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    keep = (M_MMAP_MAX, 0) if large else (M_MMAP_THRESHOLD, 2**25)  # 32 MB: its bound
    return bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1) and mallopt(*keep) and mallopt(M_ARENA_MAX, 1))


def give_back() -> bool:
    """Hands what is kept but not in use back to the kernel, where glibc can: for a server, between two runs.
    Small things that live on lie scattered among the blocks of past runs; without this the process grows."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError):
        return False
