"""The error of this package."""

from __future__ import annotations


class CheckpointError(ValueError):
    """Weights cannot be loaded; the message names the key or value and what was expected."""
