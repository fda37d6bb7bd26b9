"""Types of command-line arguments that several commands have."""

from __future__ import annotations

import argparse
import math
from contextlib import suppress
from pathlib import Path

from streamer.errors import SinkError
from streamer.output_path import check_writable


def whole_number(text: str, first: int = 1) -> int:
    """A number from `first` on, for argparse.

    Raises:
        ArgumentTypeError: `text` is not such a number.
    """
    with suppress(ValueError):
        if (count := int(text)) >= first:
            return count
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {first} on")


def finite_number(text: str) -> float:
    """A number that is neither infinite nor NaN, for argparse.

    Raises:
        ArgumentTypeError: `text` is not such a number.
    """
    with suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no finite number")


def not_empty(text: str) -> str:
    """A path or a name, for argparse; an empty path would be the current folder.

    Raises:
        ArgumentTypeError: `text` is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("is '', expected text that is not empty")
    return text


def output_file(text: str) -> Path:
    """A file that can be written, for argparse: to be known before hours of work, not after them.

    Raises:
        ArgumentTypeError: The file cannot be written.
    """
    try:
        check_writable(text)
    except SinkError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(text)


def folder_name(text: str) -> Path:
    """A folder, for argparse; an empty name would be the current one.

    Raises:
        ArgumentTypeError: `text` is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("'' is no folder's name")
    return Path(text)
