"""Telling an installation for readers, which lacks PyTorch and more, from a whole one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from streamer.errors import StreamError


@contextmanager
def whole_installation() -> Iterator[None]:
    """For imports of what a reader does not need: say in one line what is missing.

    Raises:
        StreamError: A package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise StreamError(
            f"{error.name} is not installed; this is an installation for readers, `pip install .` "
            "is for the stream"
        ) from error
