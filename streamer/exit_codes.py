"""How this project's commands end: by an exit code and at most one line, never by a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps

from streamer.errors import StreamError
from streamer.signals import exit_code, handled, interrupt
from streamer.standard_output import prepare_streams, printing


def command(main: Callable[[Sequence[str] | None], int]) -> Callable[..., int]:
    """Let a main function's errors and interruptions become exit codes.

    A StreamError is printed and gives its own code, as does what the system refuses. A signal
    raises KeyboardInterrupt, so that temporary files go, and gives 128 + its number. Belongs to the
    main thread.

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
        except StreamError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt as interruption:
            return exit_code(interruption)

    return run
