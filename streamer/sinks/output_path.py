"""Whether a file can be written, asked before the work that it is for begins."""

from __future__ import annotations

import os
from pathlib import Path

from streamer.errors import SinkError


def check_writable(path: str) -> None:
    """See that an output file can be created or replaced; nothing is opened or changed.

    Args:
        path: The file. Its folder must be there already.

    Raises:
        SinkError: It cannot; the message names the path and why.
    """
    if not path or "\0" in path:
        raise SinkError(f"{path!r}: is not a file name")
    target = Path(path)
    folder = target.parent
    try:
        if not folder.exists():
            raise SinkError(f"{path}: the folder {folder} does not exist")
        if not folder.is_dir():
            raise SinkError(f"{path}: {folder} is not a folder")
        if target.is_dir():
            raise SinkError(f"{path}: is a folder, expected a file")
        if target.exists() and not target.is_file():
            # Opening one may block for ever, and replacing one may break the system.
            raise SinkError(f"{path}: is not a regular file")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SinkError(f"{path}: the folder {folder} is not writable")
        if target.exists() and not os.access(target, os.W_OK):
            raise SinkError(f"{path}: the file is not writable")
    except OSError as error:
        raise SinkError(f"{path}: {error.strerror}") from error
