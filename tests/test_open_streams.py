"""How open streams end with their program; in a real one, see `test_frame_stream.py`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from streamer import open_streams
from streamer.errors import StreamError
from streamer.open_streams import OpenStreams
from tests.waits import PATIENCE_S


class FakeStream:
    """Open on a thread, until that closes it."""

    def __init__(self, thread: int | None) -> None:
        self.thread = thread
        self.is_computing = True
        self.stopped = threading.Event()

    def stop(self) -> None:
        self.stopped.set()


def test_the_end_stops_the_streams_of_other_threads_and_waits_while_they_compute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_streams, "IDLE_S", 0.05)
    streams, opened, closed = OpenStreams(), threading.Event(), threading.Event()

    def follow() -> None:
        stream = FakeStream(threading.get_ident())
        streams.add(stream)
        opened.set()
        assert stream.stopped.wait(PATIENCE_S)
        threading.Event().wait(0.2)  # computes for longer than an idle loop is waited for
        closed.set()
        streams.discard(stream)

    own = FakeStream(threading.get_ident())
    streams.add(own)
    with ThreadPoolExecutor(1) as pool:
        followed = pool.submit(follow)
        assert opened.wait(PATIENCE_S)
        streams.end()  # waits for neither this thread nor one that is gone
        assert closed.is_set()
        followed.result(PATIENCE_S)
    assert own.stopped.is_set()
    with pytest.raises(StreamError, match="the program ends"):
        streams.add(own)


def test_a_loop_that_does_not_come_back_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(open_streams, "IDLE_S", 0.05)
    streams, released = OpenStreams(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(released.wait, PATIENCE_S)
        [worker] = pool._threads
        stream = FakeStream(worker.ident)
        stream.is_computing = False
        streams.add(stream)
        streams.end()
        assert not busy.done()
        released.set()


def test_a_forked_child_begins_anew() -> None:
    streams = OpenStreams()
    stream = FakeStream(threading.get_ident())
    streams.add(stream)
    streams._lock.acquire()  # as another thread may hold it at the fork
    streams.are_ending = True
    streams.forget()
    streams.add(stream)
    streams.end()
    assert stream.stopped.is_set()
