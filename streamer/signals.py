"""SIGINT and SIGTERM: the first asks for an orderly end, the second ends the process."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def handled(first: Callable[[int], None]) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM call a function with its number; belongs to the main thread.

    It runs between two bytecodes of the main thread, which may hold a lock: it must not take one.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        first(number)

    previous = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def interrupt(number: int) -> None:
    """For `handled`: raise a KeyboardInterrupt that carries the signal's number."""
    raise KeyboardInterrupt(number)


def exit_code(interruption: KeyboardInterrupt) -> int:
    """What a process that a signal ended returns: 128 + its number (SIGINT where none is told)."""
    number: int = interruption.args[0] if interruption.args else signal.SIGINT
    return 128 + number
