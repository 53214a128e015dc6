"""Python's collector and the C library's heap, in a worker that holds hundreds of MB for minutes."""

import ctypes
import gc

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # mallopt(3)
KEPT = 1 << 30  # bytes at the heap's end that are not given back
STEP = 64 << 20  # bytes by which it grows
MAPPED = 32 << 20  # bytes, the largest that glibc takes: below, a text has no mapping of its own


def calm_collector() -> None:
    """Records die by reference counting; the collector only walks a full buffer's millions of them in vain.

    What has been loaded so far stays out of its sight, and it looks at the rest a fiftieth as often. A search
    of that for rubbish would take 50 ms, and of 108,000 objects it finds 60.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def keep_freed() -> None:
    """What a flush frees, the next batch takes: if it were given back, each page would cost a fault again.

    Nothing where the C library has no mallopt (musl).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for what, size in ((M_TRIM_THRESHOLD, KEPT), (M_TOP_PAD, STEP), (M_MMAP_THRESHOLD, MAPPED)):
            mallopt(what, size)
