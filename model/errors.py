"""The error of this package."""

from __future__ import annotations

import errno
import os


class CheckpointError(ValueError):
    """Weights cannot be loaded; the message names the key or value and what was expected."""


def check_memory(name: object, error: Exception) -> None:
    """Raise a `CheckpointError` that says so if memory ran out, and do nothing otherwise.

    Args:
        name: Of the weights, for the message.
        error: What loading them raised; PyTorch's own errors tell only in words.
    """
    if isinstance(error, MemoryError) or os.strerror(errno.ENOMEM) in str(error):
        raise CheckpointError(f"{name}: there is not enough memory to load it") from error
