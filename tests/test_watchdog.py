"""A stage that stands still is noticed, named once, and noticed when it goes on."""

from __future__ import annotations

import pytest

from streamer.sinks.sink import SinkThread
from streamer.watchdog import Watchdog
from tests.fakes import FakeSink, FakeSource, OneObject
from tests.pipelines import pipeline, running
from tests.waits import PATIENCE_S, until


def stalls(watchdog: Watchdog) -> list[str]:
    return [name for name, stalled in watchdog.stalled().items() if stalled]


def test_a_source_that_gives_nothing(caplog: pytest.LogCaptureFixture) -> None:
    source = FakeSource(12, "blocks", lost_before=[10])
    whole = pipeline(source, OneObject())
    watchdog = Watchdog(whole, [], stall_s=30)
    with running(whole):
        until(lambda: whole.counts().decoded == 10 and whole.waiting == 0)
        watchdog.look(0)
        watchdog.look(29)
        assert stalls(watchdog) == []
        watchdog.look(31)
        watchdog.look(60)
        assert stalls(watchdog) == ["source"]
        assert caplog.messages == ["source: has not moved for 31 s"]
        source.found.set()
        until(lambda: whole.counts().decoded == 12 and whole.waiting == 0)
        watchdog.look(70)
        assert stalls(watchdog) == []
        assert caplog.messages[1:] == ["source: goes on after 70 s"]
        watchdog.look(110)
        assert stalls(watchdog) == ["source"]
        source.interrupt()
    watchdog.look(1000)  # over: nothing has anything to do, and nothing goes on
    assert stalls(watchdog) == []
    assert caplog.messages[2:] == ["source: has not moved for 40 s"]


def test_a_network_that_takes_nothing() -> None:
    predictor = OneObject("blocks", at=1)
    whole = pipeline(FakeSource(40), predictor)
    watchdog = Watchdog(whole, [], stall_s=30)
    with running(whole):
        assert predictor.blocked.wait(PATIENCE_S)
        until(lambda: whole.is_source_idle)
        watchdog.look(0)
        watchdog.look(31)
        assert stalls(watchdog) == ["network"]  # the source waits for room, and is not to blame
        predictor.release.set()


def test_an_output_that_takes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    stuck, quick = FakeSink("blocks"), FakeSink()
    sinks = [SinkThread("mp4 out.mp4", lambda: stuck, 100), SinkThread("quick", lambda: quick)]
    whole = pipeline(FakeSource(20), OneObject())
    watchdog = Watchdog(whole, sinks, stall_s=30)
    with running(whole, *sinks):
        until(lambda: len(quick.got) == 22)  # with the info before and the end after 20 frames
        watchdog.look(0)
        watchdog.look(31)
        assert stalls(watchdog) == ["mp4 out.mp4"]
        assert caplog.messages == ["mp4 out.mp4: has not moved for 31 s"]
        stuck.release.set()
    watchdog.look(32)
    assert stalls(watchdog) == []


def test_a_full_output_is_not_the_networks_fault() -> None:
    stuck = FakeSink("blocks")
    sink = SinkThread("zmq tcp://127.0.0.1:5555", lambda: stuck, 2)
    whole = pipeline(FakeSource(40), OneObject())
    watchdog = Watchdog(whole, [sink], stall_s=30)
    with running(whole, sink):
        until(lambda: sink.is_full and whole.waiting > 0)
        watchdog.look(0)
        watchdog.look(31)
        assert stalls(watchdog) == ["zmq tcp://127.0.0.1:5555"]
        stuck.release.set()


def test_no_stage_is_missing_from_the_beginning() -> None:
    with Watchdog(pipeline(FakeSource(1), OneObject()), [], stall_s=1e6) as watchdog:
        assert watchdog.stalled() == {"source": False, "network": False}


def test_it_looks_by_itself() -> None:
    source = FakeSource(10, "blocks")
    whole = pipeline(source, OneObject())
    with running(whole), Watchdog(whole, [], stall_s=0.01) as watchdog:
        until(lambda: stalls(watchdog) == ["source"])
        source.interrupt()


def test_a_look_that_fails_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    class Sick(SinkThread):
        well = True

        @property
        def taken(self) -> int:
            if not self.well:
                self.well = True
                raise MemoryError
            return 0

    source, sink = FakeSource(10, "blocks"), Sick("sick", FakeSink)
    whole = pipeline(source, OneObject())
    with running(whole), Watchdog(whole, [sink], stall_s=0.01) as watchdog:
        sink.well = False
        until(lambda: "cannot look at the stages: MemoryError" in caplog.text)
        until(lambda: stalls(watchdog) == ["source"])
        source.interrupt()
