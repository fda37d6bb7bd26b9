"""What is printed for whoever reads the standard output."""

from __future__ import annotations

import logging
import os
import sys

log = logging.getLogger(__name__)


def say(text: str) -> None:
    """Print a text; one that nobody reads any more, as in ``… | head``, is no failure of a run."""
    try:
        print(text, flush=True)
    except OSError as error:
        forget_reader()
        if not isinstance(error, BrokenPipeError):  # such as of a full disk
            log.warning("nothing can be printed: %s", error.strerror)


def forget_reader() -> None:
    """Print to nobody from now on: Python would flush the rest at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
