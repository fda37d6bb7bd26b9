"""`streamer.sinks.sink`: a sink's thread opens, drains and closes it, and reports what failed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from streamer.errors import SinkError
from streamer.output import EndOfStream, Output
from streamer.ring_buffer import RingBuffer
from streamer.sinks import sink as sink_module
from streamer.sinks.sink import SinkThread
from tests.waits import PATIENCE_S, waits_of

END = EndOfStream("end", 0, 0)


class ListSink:
    """Keeps what it gets; fails or blocks where told to."""

    def __init__(
        self,
        *,
        fail_on: str = "",
        entered: threading.Event | None = None,
        release: threading.Event | None = None,
    ) -> None:
        self.fail_on = fail_on
        self.entered = entered
        self.release = release
        self.got: list[Output] = []
        self.closed = 0
        self.threads = {threading.current_thread().name}
        if fail_on == "open":
            raise OSError("no such folder")

    def drain(self, outputs: RingBuffer[Output]) -> None:
        self.threads.add(threading.current_thread().name)
        for output in outputs:
            if "drain" in self.fail_on:
                raise OSError("disk full")
            if self.entered and self.release:
                self.entered.set()
                assert self.release.wait(PATIENCE_S)
            self.got.append(output)

    def close(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.closed += 1
        if "close" in self.fail_on:
            raise SinkError("trailer lost")


def test_everything_happens_on_the_sinks_own_thread() -> None:
    sinks: list[ListSink] = []

    def open_sink() -> ListSink:
        sinks.append(ListSink())
        return sinks[0]

    thread = SinkThread("list", open_sink)
    thread.start()
    thread.put(END)
    assert thread.finish(PATIENCE_S) is None
    assert sinks[0].got == [END]
    assert sinks[0].threads == {"list"}
    assert sinks[0].closed == 1


def test_a_sink_that_cannot_open_says_so_at_start() -> None:
    thread = SinkThread("mp4 x.mp4", lambda: ListSink(fail_on="open"))
    with pytest.raises(SinkError, match=r"mp4 x.mp4: OSError: no such folder") as caught:
        thread.start()
    assert isinstance(caught.value.__cause__, OSError)
    error = thread.finish(PATIENCE_S, lambda: pytest.fail("nothing is left to wait for"))
    assert error is caught.value


def test_a_sink_that_fails_tells_whoever_puts_and_is_closed() -> None:
    sink = ListSink(fail_on="drain")
    thread = SinkThread("list", lambda: sink)
    thread.start()
    thread.put(END)
    error = thread.finish(PATIENCE_S)
    assert "disk full" in str(error)
    assert sink.closed == 1
    with pytest.raises(SinkError, match="disk full") as caught:
        thread.put(END)
    assert isinstance(caught.value.__cause__, OSError)


def test_an_error_while_closing_counts() -> None:
    thread = SinkThread("list", lambda: ListSink(fail_on="close"))
    thread.start()
    assert str(thread.finish(PATIENCE_S)) == "trailer lost"


def test_the_first_of_two_errors_is_told() -> None:
    thread = SinkThread("list", lambda: ListSink(fail_on="drain close"))
    thread.start()
    thread.put(END)
    assert "disk full" in str(thread.finish(PATIENCE_S))


def test_a_sink_that_does_not_return_is_left_behind_with_an_error() -> None:
    entered, release = threading.Event(), threading.Event()
    sink = ListSink(entered=entered, release=release)
    thread = SinkThread("stuck", lambda: sink)
    thread.start()
    for _ in range(3):
        thread.put(END)
    assert entered.wait(PATIENCE_S)
    error = thread.finish(0)
    assert str(error) == "stuck: took nothing more for 0 s; 2 outputs waited"
    assert thread.finish(PATIENCE_S) is error  # at once: it has been given up
    release.set()
    thread._thread.join(PATIENCE_S)
    assert (len(sink.got), sink.closed) == (1, 1)  # what waited is gone for one that comes back


def test_what_a_sink_has_taken_is_counted() -> None:
    entered, release = threading.Event(), threading.Event()
    thread = SinkThread("list", lambda: ListSink(entered=entered, release=release))
    thread.start()
    for _ in range(3):
        thread.put(END)
    assert entered.wait(PATIENCE_S)
    assert (thread.taken, thread.waiting) == (1, 2)
    release.set()
    assert thread.finish(PATIENCE_S) is None
    assert (thread.taken, thread.waiting) == (3, 0)


def test_a_sink_that_is_slow_but_takes_what_waits_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each output takes longer than the sink may stand still in all."""
    now = [0.0]
    monkeypatch.setattr(sink_module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    class Slow(ListSink):
        def drain(self, outputs: RingBuffer[Output]) -> None:
            for output in outputs:
                self.got.append(output)
                now[0] += 9
                looked.wait(PATIENCE_S)
                looked.clear()

    looked = threading.Event()

    def is_urgent() -> bool:
        looked.set()
        return True

    sink = Slow()
    thread = SinkThread("slow", lambda: sink)
    thread.start()
    for _ in range(5):
        thread.put(END)
    assert thread.finish(10, is_urgent) is None
    assert len(sink.got) == 5


def test_a_stuck_sink_is_left_behind_once_that_is_urgent() -> None:
    entered, release, asked = threading.Event(), threading.Event(), []
    thread = SinkThread("stuck", lambda: ListSink(entered=entered, release=release))
    thread.start()
    thread.put(END)
    assert entered.wait(PATIENCE_S)

    def is_urgent() -> bool:
        asked.append(len(asked))
        return len(asked) > 2  # somebody stops a run that had come to its end

    assert "took nothing more" in str(thread.finish(0, is_urgent))
    assert len(asked) == 3
    release.set()


def test_what_a_sink_needs_to_close_is_not_limited() -> None:
    entered, release = threading.Event(), threading.Event()

    class SlowToClose(ListSink):
        def close(self) -> None:
            entered.set()
            assert release.wait(PATIENCE_S)
            super().close()

    sink = SlowToClose()
    thread = SinkThread("slow", lambda: sink)
    thread.start()
    finisher = ThreadPoolExecutor(1)
    thread.seal()
    assert entered.wait(PATIENCE_S)
    finishing = finisher.submit(thread.finish, 0)
    with pytest.raises(TimeoutError):
        finishing.result(0.2)
    release.set()
    assert finishing.result(PATIENCE_S) is None
    finisher.shutdown()
    assert sink.closed == 1


def test_a_full_queue_waits_until_its_limit_is_lifted() -> None:
    entered, release = threading.Event(), threading.Event()
    sink = ListSink(entered=entered, release=release)
    thread = SinkThread("slow", lambda: sink, capacity=1)
    thread.start()
    thread.put(END)
    assert entered.wait(PATIENCE_S)
    thread.put(END)
    waits = waits_of(thread._outputs)
    putter = threading.Thread(target=thread.put, args=(END,))
    putter.start()
    assert waits.wait(PATIENCE_S)
    thread.lift_limit()
    putter.join(PATIENCE_S)
    assert not putter.is_alive()
    release.set()
    assert thread.finish(PATIENCE_S) is None
    assert sink.got == [END] * 3


def test_a_finished_sink_takes_nothing_more() -> None:
    thread = SinkThread("list", ListSink)
    assert thread.finish(PATIENCE_S) is None  # never started: nothing to wait for
    with pytest.raises(SinkError, match="closed already"):
        thread.put(END)
