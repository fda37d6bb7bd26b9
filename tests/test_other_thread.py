"""`streamer.other_thread`: a call that is waited for where an interrupt is heard."""

from __future__ import annotations

import gc
import signal
import threading
import weakref
from contextlib import suppress

import pytest

from streamer.other_thread import is_left, on_another_thread
from tests.waits import PATIENCE_S


def test_what_the_function_gives_or_raises_is_the_call_s() -> None:
    here = threading.current_thread()
    assert on_another_thread(threading.current_thread, print) is not here
    with pytest.raises(KeyError, match="mine"):
        on_another_thread(lambda: {}["mine"], print)
    assert not is_left()


class Held:
    """What a function needs."""


def test_a_call_that_fails_keeps_nothing() -> None:
    held = Held()
    gone = weakref.ref(held)
    gc.disable()
    try:
        with suppress(KeyError):
            on_another_thread(lambda held=held: {}[held], print)  # type: ignore[misc]
        del held
        assert gone() is None
    finally:
        gc.enable()


def test_a_call_that_is_interrupted_stays_behind_and_what_it_gives_is_discarded() -> None:
    go, discarded = threading.Event(), threading.Event()
    seen: list[object] = []
    main = threading.main_thread().ident  # it waits

    def wait() -> bool:
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        assert go.wait(PATIENCE_S)
        return is_left()

    def discard(value: bool) -> None:
        seen.append(value)
        discarded.set()

    with pytest.raises(KeyboardInterrupt):
        on_another_thread(wait, discard)
    assert not discarded.is_set()
    go.set()
    assert discarded.wait(PATIENCE_S)
    assert seen == [True]
