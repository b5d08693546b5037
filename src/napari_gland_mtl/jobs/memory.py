"""Hand memory that is free back to the system.

The C library of Linux keeps what several threads have freed in pools of its own. Over a slide
with thousands of tiles that adds up to hundreds of megabytes that nobody uses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache


def release_freed_memory() -> None:
    """Return freed memory to the system where the C library can be asked to (glibc)."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return None
