"""Memory kept for the next array (内存留用).

The C library of Linux hands every array over 32 MB back to the system as soon as it is let go of, and asks for the
next one page by page, each zeroed anew: with two million people that took a tenth of the time, and far more where the
machine was short of memory. While a run works on so many rows what it lets go of stays with the process; afterwards
what is free is handed back.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

MANY = 2**19  # rows: their items, some to each, fill arrays of that size
LARGE = 32 * 2**20  # bytes: the most that mallopt(3) takes for an array to be asked of the system on its own
KEPT = 2**31 - 1  # bytes at the end of the heap that are not handed back
TRIM, ALONE, MAPPED = -1, -3, -4  # of mallopt(3): M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX
USUAL = 65536  # arrays that may be asked of the system on their own

_lock = threading.Lock()
_holding = 0


@cache
def _library() -> tuple[Callable[[int, int], int], Callable[[int], int]] | None:
    """`mallopt` and `malloc_trim`; None where the C library has no such thing."""
    try:
        library: Any = ctypes.CDLL(None)
        return library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


@contextmanager
def held(rows: int) -> Iterator[None]:
    """While a run works on so many rows, keep what it lets go of."""
    global _holding
    found = _library() if rows >= MANY else None
    if found is None:
        yield
        return
    option, trim = found
    with _lock:
        _holding += 1
        option(MAPPED, 0)
        option(TRIM, KEPT)
    try:
        yield
    finally:
        with _lock:
            _holding -= 1
            if not _holding:
                # The library would have found these by itself, had it not been told anything.
                option(ALONE, LARGE)
                option(MAPPED, USUAL)
                option(TRIM, 2 * LARGE)
                trim(0)
