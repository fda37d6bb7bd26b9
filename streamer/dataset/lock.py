"""One job at a time on a results file."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from streamer.errors import SinkError
from streamer.output_path import open_beside, writing

log = logging.getLogger(__name__)


@contextmanager
def only_job(save_path: str) -> Iterator[None]:
    """Keep other jobs away from a results file and its parts.

    Raises:
        SinkError: Another job is at work there, or the lock beside the file cannot be made, or is
            a file with a content, of somebody else.
    """
    lock = Path(save_path + ".lock")
    with ExitStack() as held:
        with writing(lock):
            file = held.enter_context(open(lock, "a", opener=open_beside))
            while not _locked(file, save_path):
                file = held.enter_context(open(lock, "a", opener=open_beside))
            if os.fstat(file.fileno()).st_size:
                raise SinkError(f"{lock}: is no lock of this job, it has a content; move it away")
        try:
            yield
        finally:
            with writing(lock):
                lock.unlink(missing_ok=True)


def _locked(file: TextIO, save_path: str) -> bool:
    """Lock it; returns whether it still is what others would find under its name."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SinkError(f"{save_path}: another job is at work on it") from None
    except OSError as error:  # this file system has no locks
        log.warning(
            "%s: cannot be locked: %s; see that no other job writes the same results",
            *(file.name, error.strerror),
        )
    # A job that was ending may have removed it since it was opened.
    return os.fstat(file.fileno()).st_nlink > 0
