"""Whether something that was opened is still there, and how much may be opened."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, not paths


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open only so many more."""
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + count, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def kept(kind: type) -> int:
    """How many objects of exactly this type there are."""
    return sum(type(each) is kind for each in gc.get_objects())
