"""SIGINT, SIGTERM and SIGHUP: the first asks for an orderly end, the second ends the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def handled(first: Callable[[int], None]) -> Iterator[None]:
    """Let the first of these signals call a function with its number; belongs to the main thread.

    It runs between two bytecodes of the main thread, which may hold a lock: it must not take one.
    A signal that is ignored stays so, as `nohup` and a shell's ``command &`` want it.
    """
    previous = {number: signal.getsignal(number) for number in SIGNALS}
    untouched = (signal.SIG_IGN, None)  # None is a library's own, which could not be given back
    previous = {key: handler for key, handler in previous.items() if handler not in untouched}
    # Without a handler the second ends the process also while it is inside of a library. Of the
    # first process of a container, though, the kernel then drops signals.
    second = _leave if os.getpid() == 1 else signal.SIG_DFL

    def handle(number: int, frame: FrameType | None) -> None:
        for each in previous:
            signal.signal(each, second)
        first(number)

    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


@contextmanager
def stopping_in_order(stop: Callable[[], object]) -> Iterator[list[int]]:
    """Let the first of these signals call a function on another thread; yields their numbers.

    The function may take locks: the handler runs between two bytecodes of the main thread, which
    may be holding the very one that stopping needs.
    """
    received: list[int] = []
    wake = threading.Event()

    def wait_and_stop() -> None:
        wake.wait()
        if received:
            stop()

    # Started here and not by the handler, since starting a thread takes locks too. It is a daemon,
    # as nobody wakes it after a signal that came while it started.
    stopper = threading.Thread(target=wait_and_stop, name="stop", daemon=True)

    def note(number: int) -> None:
        received.append(number)
        wake.set()

    stopper.start()
    try:
        with handled(note):
            yield received
    finally:
        wake.set()
        stopper.join()


@contextmanager
def deferred() -> Iterator[None]:
    """Let the first of these signals raise its KeyboardInterrupt only afterwards.

    For what swallows one: PyTorch, while it reads a tensor from a file, makes a ValueError of it.
    """
    received: list[int] = []
    with handled(received.append):
        yield
    if received:
        interrupt(received[0])


def interrupt(number: int) -> None:
    """For `handled`: raise a KeyboardInterrupt that carries the signal's number."""
    raise KeyboardInterrupt(number)


def exit_code(interruption: KeyboardInterrupt) -> int:
    """What a process that a signal ended returns: 128 + its number (SIGINT where none is told)."""
    number: int = interruption.args[0] if interruption.args else signal.SIGINT
    return 128 + number


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
