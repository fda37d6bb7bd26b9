"""What is printed for whoever reads the standard output."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print a text; one that nobody reads any more, as in ``… | head``, is no failure of a run."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        forget_reader()


def forget_reader() -> None:
    """Print to nobody from now on: Python would flush the rest at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
