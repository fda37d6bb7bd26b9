"""What the C library does with memory that PyTorch gives back."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
"""Parameters of ``mallopt``. Source: glibc's ``malloc.h`` and mallopt(3)."""

LIBC = ctypes.CDLL(None)

OWN_CHOICES = (
    "GLIBC_TUNABLES",
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_TRIM_THRESHOLD_",
)
"""Environment variables by which somebody has settled it."""


def keep_memory() -> None:
    """Let glibc keep large blocks for the next layer instead of giving them back to the kernel.

    The layers of a network ask for the same blocks again and again. Those above 32 MB, and what is
    free at the heap's end, come from the kernel anew each time, page by page: 180,000 page faults
    for the features of a window by ResNet-50 at 300x533 in float32. The process keeps what it
    needed at its peak. Without effect on other C libraries, and where the environment says
    something else.
    """
    _set({M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1})


def keep_little() -> None:
    """Undo `keep_memory`: set what glibc's dynamic thresholds reach by themselves.

    Source: mallopt(3).
    """
    _set({M_MMAP_MAX: 65_536, M_MMAP_THRESHOLD: 2**25, M_TRIM_THRESHOLD: 2**26})
    give_memory_back()


def give_memory_back() -> None:
    """Give the kernel what glibc has kept so far: for once, so that memory can be measured."""
    malloc_trim = getattr(LIBC, "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def _set(parameters: Mapping[int, int]) -> None:
    mallopt = getattr(LIBC, "mallopt", None)
    if mallopt is not None and not any(name in os.environ for name in OWN_CHOICES):
        for parameter, value in parameters.items():
            mallopt(parameter, value)
