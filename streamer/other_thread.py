"""A call on another thread: for what would hold up or swallow a KeyboardInterrupt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from streamer.errors import StreamError

T = TypeVar("T")

_here = threading.local()


def on_another_thread(function: Callable[[], T], discard: Callable[[T], object]) -> T:
    """Call a function that may wait in FFmpeg, and wait for it where an interrupt is heard.

    Interrupted, the function stays behind on its daemon thread, and can ask `is_left`.

    Args:
        function: What to call.
        discard: Takes what it still gives then.
    """
    future: Future[T] = Future()
    left, running = threading.Event(), threading.Lock()
    thread = threading.Thread(
        target=_call, args=(future, function, left, running), name="open", daemon=True
    )
    try:
        running.acquire()
        thread.start()
        # Of the waits, a lock's alone can be interrupted anywhere: that of a condition, as in
        # `future.result`, may raise a RuntimeError instead, and `join` takes the thread for ended.
        running.acquire()
        thread.join()
        value = future.result()
    except BaseException:
        left.set()
        if future.done():
            thread.join()
        future.add_done_callback(lambda late: _discard(late, discard))
        raise
    finally:
        del future  # it holds its error, whose traceback holds this call
    return value


def is_left() -> bool:
    """Whether this thread calls a function that nobody waits for any more."""
    left: threading.Event | None = getattr(_here, "left", None)
    return left is not None and left.is_set()


def _call(
    future: Future[T], function: Callable[[], T], left: threading.Event, running: threading.Lock
) -> None:
    _here.left = left
    try:
        value = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(value)
    finally:
        del future, function  # the error's traceback holds this call, too
        running.release()


def _discard(late: Future[T], discard: Callable[[T], object]) -> None:
    if late.exception() is None:
        with suppress(StreamError):
            discard(late.result())
