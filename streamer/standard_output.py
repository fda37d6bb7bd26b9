"""What is printed, and where to: standard streams that lack a reader, a place or a letter."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from streamer.errors import StreamError
from streamer.printable import printable

MOST_NAMED = 3
"""Files of one output that are named one by one."""

log = logging.getLogger(__name__)


def prepare_streams() -> None:
    """Let whatever is written to the standard streams arrive, or go nowhere; for a process's start.

    A process may begin without them. The files that it opens then get their numbers, and
    everything that a library complains of would go into an output.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w"))  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # not every encoding has every letter


def say(text: str) -> None:
    """Print a text; one that nobody reads any more, as in ``… | head``, is no failure of a run."""
    try:
        print(text, flush=True)
    except OSError as error:
        forget_reader()
        if not isinstance(error, BrokenPipeError):  # such as a full disk
            log.warning("nothing can be printed: %s", error.strerror)


def say_written(paths: Sequence[Path]) -> None:
    """Print what an output has written; of many files the first and the last."""
    if len(paths) > MOST_NAMED:
        say(f"wrote {printable(paths[0])} to {printable(paths[-1])} ({len(paths)} files)")
        return
    for path in paths:
        say(f"wrote {printable(str(path) + '/' * path.is_dir())}")


@contextmanager
def printing() -> Iterator[None]:
    """Have what is printed inside arrive; where nobody reads it, the block at most ends there.

    Raises:
        StreamError: The system refuses something, such as to write to a full disk.
    """
    try:
        yield
    except BrokenPipeError:  # where Python buffers nothing
        forget_reader()
    except OSError as error:
        raise StreamError(str(error)) from error
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            forget_reader()
            if not isinstance(error, BrokenPipeError):
                raise StreamError(f"standard output: {error.strerror}") from error


def forget_reader() -> None:
    """Print to nobody from now on: Python would flush the rest at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
