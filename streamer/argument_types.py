"""Types of command-line arguments that several commands have."""

from __future__ import annotations

import argparse
from contextlib import suppress


def whole_number(text: str, first: int = 1) -> int:
    """A number from `first` on, for argparse.

    Raises:
        ArgumentTypeError: `text` is none.
    """
    with suppress(ValueError):
        if (count := int(text)) >= first:
            return count
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {first} on")
