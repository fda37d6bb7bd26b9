"""Where outputs go: whether a place can be written to, and files that appear whole."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from streamer.errors import ConfigError, SinkError

log = logging.getLogger(__name__)


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Raise what the system refuses inside as a `SinkError` that names the path."""
    try:
        yield
    except OSError as error:
        raise SinkError(f"{path}: {error.strerror or error}") from error


def behind_link(path: Path) -> Path:
    """The file that is written by a path: of a link, which stays, what it leads to."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def check_writable(path: str) -> None:
    """See that an output file can be created or replaced; nothing is opened or changed.

    Args:
        path: The file. Its folder must be there already.

    Raises:
        SinkError: It cannot; the message names the path and why.
    """
    if not path or "\0" in path:
        raise SinkError(f"{path!r}: is not a file name")
    if path.endswith(("/", "/.")):  # which `Path` forgets
        raise SinkError(f"{path}: is a folder, expected a file")
    target = Path(path)
    with writing(path):
        folder = behind_link(target).parent
        if not folder.exists():
            advice = "~ is not expanded" if path.startswith("~/") else "make it first"
            raise SinkError(f"{path}: the folder {folder} does not exist; {advice}")
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


def check_folder(path: str) -> None:
    """See that a folder is there to write into or can be made; nothing is opened or changed.

    Args:
        path: The folder; those above it need not be there either.

    Raises:
        SinkError: It cannot; the message names the path and why.
    """
    if not path or "\0" in path:
        raise SinkError(f"{path!r}: is not a folder name")
    with writing(path):
        # The nearest one that is there decides.
        there = next(
            place for place in (Path(path), *Path(path).absolute().parents) if place.exists()
        )
        if not there.is_dir():
            raise SinkError(f"{path}: {there} is not a folder")
        if not os.access(there, os.W_OK | os.X_OK):
            raise SinkError(f"{path}: the folder {there} is not writable")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        SinkError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make the folder {folder}: {error.strerror}") from error


def check_apart(outputs: Iterable[str], inputs: Mapping[str, str | None]) -> None:
    """See that no output is a place that is read from, or that of another output.

    Args:
        outputs: Files and folders to be written.
        inputs: What is read, by its name in messages; None where there is none.

    Raises:
        ConfigError: Two of them are one place.
    """
    taken = {_place(path): name for name, path in inputs.items() if path is not None}
    for path in outputs:
        place = _place(path)
        if place in taken:
            raise ConfigError(
                f"{path} is also {taken[place]}; allowed: a place of its own for each"
            )
        taken[place] = "another output"


def _place(path: str) -> object:
    """What two names of one file or folder have in common, hard links too."""
    with suppress(OSError):
        found = Path(path).stat()
        return found.st_dev, found.st_ino
    return Path(path).resolve()


def open_beside(path: str, flags: int, mode: int = 0o666) -> int:
    """Open, as `open`'s `opener`, a file whose name was made from another's, such as a lock.

    Nobody has checked that name: a link that somebody left there would lead to any other file, and
    opening a FIFO may block for ever.

    Raises:
        OSError: It is no regular file, or cannot be opened.
    """
    blocked = FileExistsError(errno.EEXIST, f"{path} is not a regular file; move it away")
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    except OSError as error:
        # A link, a FIFO without a reader or a socket, a folder.
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise blocked from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise blocked
    return descriptor


def open_alone_beside(path: str, flags: int) -> int:
    """Both of `open_alone` and `open_beside`."""
    return open_alone(path, flags, open_beside)


def open_alone(path: str, flags: int, opened: Callable[[str, int, int], int] = os.open) -> int:
    """Open a file (as `open`'s `opener`) or a folder that nobody else has open by this function.

    A file is emptied, where `flags` ask for it, only once that is known.

    Raises:
        OSError: Somebody has, or it cannot be opened.
    """
    descriptor = opened(path, flags & ~os.O_TRUNC, 0o666)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # any number may write to /dev/null
            _lock(descriptor, path)
        if stat.S_ISREG(mode) and flags & os.O_TRUNC:
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BlockingIOError(error.errno, "another run writes it") from error
    except OSError:
        return  # this file system has no locks
    # One that has just finished a file may have given it another name (see `replacing`).
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(descriptor), Path(path).stat()):
            return
    raise BlockingIOError(errno.EAGAIN, "another run writes it")


def check_unwritten(path: Path) -> None:
    """See that no process writes a file, as `open_alone` opens it; it need not be there.

    Raises:
        SinkError: One does.
    """
    with suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SinkError(f"{path}: another run writes it") from error


def is_in_place(descriptor: int, path: str | Path) -> bool:
    """Whether a path still names the file that was opened by it; says so where it does not."""
    with suppress(OSError):
        if os.path.samestat(os.fstat(descriptor), Path(path).stat()):
            return True
    log.warning("%s: was removed or replaced while it was written", path)
    return False


@contextmanager
def replacing(path: Path, added: str = ".part") -> Iterator[Path]:
    """A file that appears under its name only once it was written to its end.

    Args:
        path: The file. A link stays: what it leads to is replaced.
        added: To its name, until then.

    Yields:
        Where to write it: in the same folder. Nothing is left there after an error.

    Raises:
        SinkError: It cannot be written, or another run is writing it.
    """
    with writing(path):
        target = behind_link(path)
        partial = target.with_name(target.name + added)
        # Held until it has its name: whoever else writes there must neither empty nor remove it.
        with open(partial, "wb", opener=open_alone_beside):
            try:
                yield partial
                partial.replace(target)
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name only once it is whole.

    Raises:
        SinkError: It cannot be written; nothing of it is left.
    """
    with replacing(path) as partial:
        partial.write_bytes(data)
