"""Telling an installation for readers, which lacks PyTorch and more, from a whole one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from streamer.errors import StreamError

FOR_STREAM = "this is an installation for readers, `pip install .` is for the stream"

FOR_READER = "readers need `pip install pyzmq numpy opencv-python-headless pycocotools`"

OWN = ("benchmarks", "model", "streamer", "training")
"""Packages that no installation lacks."""

FOR_TRAINING = "training needs `pip install -e '.[train]'`"


@contextmanager
def whole_installation(mended_by: str = FOR_STREAM) -> Iterator[None]:
    """For imports of what a reader does not need: say in one line what is missing.

    Args:
        mended_by: What would install it.

    Raises:
        StreamError: A package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if not _is_foreign(error.name):
            raise
        raise StreamError(_missing(error.name, mended_by)) from error


def explain_missing(mended_by: str) -> None:
    """Let this process end in one line where a package is missing: for above a command's imports.

    Args:
        mended_by: What would install it.
    """

    def end(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ModuleNotFoundError) and _is_foreign(error.name):
            print(f"error: {_missing(error.name, mended_by)}", file=sys.stderr)
        elif kind is not KeyboardInterrupt:  # imports take seconds
            sys.__excepthook__(kind, error, traceback)

    sys.excepthook = end


def _is_foreign(module: str | None) -> bool:
    """Whether it is another project's: of ours none is missing, but one may be misspelled."""
    return module is not None and module.partition(".")[0] not in OWN


def _missing(module: str | None, mended_by: str) -> str:
    return f"{module} is not installed; {mended_by}"
