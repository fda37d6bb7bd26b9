"""How this project's commands end: by an exit code and at most one line.

The traceback comes with it where Python is in development mode, as by ``python -X dev``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from traceback import format_exception, format_exception_only, walk_tb

from streamer.errors import StreamError
from streamer.installation import OWN
from streamer.signals import exit_code, handled, interrupt
from streamer.sources.credentials import hide_all_credentials
from streamer.standard_output import prepare_streams, printing


def command(main: Callable[[Sequence[str] | None], int]) -> Callable[..., int]:
    """Let a main function's errors and interruptions become exit codes.

    A StreamError is printed and gives its own code, as does what the system refuses; any other
    error is printed with its type and place, and gives 1. A signal raises KeyboardInterrupt, so
    that temporary files go, and gives 128 + its number. Belongs to the main thread.

    Args:
        main: Takes the command line without the program's name, None for the process's own, and
            returns the exit code.
    """

    @wraps(main)
    def run(arguments: Sequence[str] | None = None) -> int:
        prepare_streams()
        try:
            with handled(interrupt), printing():
                return main(arguments)
            return 0  # nobody reads what was being printed
        except Exception as error:
            complain(f"error: {describe(error)}")
            return code_of(error)
        except KeyboardInterrupt as interruption:
            return exit_code(interruption)

    return run


def describe(error: BaseException) -> str:
    """What to say of an error: its text; of one that nobody foresaw, also its type and place.

    A URL may have come where none belongs, and is quoted as it stands, but for its credentials.
    """
    if isinstance(error, StreamError):
        text = str(error)
    else:
        text = " ".join("".join(format_exception_only(error)).split()) + f" ({_place(error)})"
    if sys.flags.dev_mode:
        text += "\n" + "".join(format_exception(error)).rstrip()
    return hide_all_credentials(text)


def code_of(error: Exception) -> int:
    """The exit code of an error."""
    return error.exit_code if isinstance(error, StreamError) else 1


def complain(text: str) -> None:
    """Print to standard error; where that takes nothing, the exit code alone has to do."""
    with suppress(OSError):
        print(text, file=sys.stderr)


def _place(error: BaseException) -> str:
    """The last of this project's lines that an error went through, as ``streamer/run.py:50``."""
    root, place = f"{Path(__file__).parents[1]}/", ""
    for frame, line in walk_tb(error.__traceback__):
        name = frame.f_code.co_filename.removeprefix(root)
        if name.partition("/")[0] in OWN:
            place = f"{name}:{line}"
    return place
