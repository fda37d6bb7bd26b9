"""Telling an installation for readers, which lacks PyTorch and more, from a whole one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from streamer.errors import StreamError

FOR_STREAM = "this is an installation for readers, `pip install .` is for the stream"

FOR_TRAINING = "training needs `pip install -e '.[train]'`"


@contextmanager
def whole_installation() -> Iterator[None]:
    """For imports of what a reader does not need: say in one line what is missing.

    Raises:
        StreamError: A package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise StreamError(f"{error.name} is not installed; {FOR_STREAM}") from error


def explain_missing(mended_by: str) -> None:
    """Let this process end in one line where a package is missing: for above a command's imports.

    Args:
        mended_by: What would install it.
    """

    def end(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ModuleNotFoundError):
            print(f"error: {error.name} is not installed; {mended_by}", file=sys.stderr)
        elif kind is not KeyboardInterrupt:  # imports take seconds
            sys.__excepthook__(kind, error, traceback)

    sys.excepthook = end
