"""`streamer.pipeline` and `streamer.run`: every frame once, and an orderly end whatever ends it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from streamer import pipeline as pipeline_module
from streamer.errors import DeviceError, SinkError, SourceError, StreamError
from streamer.frame import Frame
from streamer.output import EndOfStream, FrameResult, Gap, Output, StreamInfo
from streamer.pipeline import Pipeline
from streamer.ring_buffer import RingBuffer
from streamer.run import Run
from streamer.sinks.sink import SinkThread
from streamer.window import Prediction
from tests.fakes import FakeSink, FakeSource, OneObject, StuckSource
from tests.frames import make_epoch
from tests.pipelines import INFO, pipeline
from tests.waits import PATIENCE_S


def run_to_end(whole: Pipeline) -> list[FrameResult | Gap]:
    try:
        return list(whole.outputs())
    finally:
        whole.close()


@pytest.fixture
def _as_of_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the network takes a frame, no other one waits."""
    monkeypatch.setattr(RingBuffer, "__len__", lambda _: 0)


@pytest.mark.usefixtures("_as_of_a_camera")
def test_what_waits_for_a_window_is_prepared() -> None:
    predictor = OneObject()
    run_to_end(pipeline(FakeSource(13), predictor, stride=3, step=2))
    waits = [[0], [0, 2], [0, 2, 4], [0, 2, 4, 6], [0, 2, 4, 6, 8], [0, 2, 4, 6, 8, 10]]
    # Every second frame is none of a window's; the eighth of the others would have made it due.
    assert [prepared for n, prepared in enumerate(predictor.prepared) if n % 2 == 0] == [
        *waits,
        [0, 2, 4, 6, 8, 10, 12],
    ]


def test_frames_that_are_there_together_go_through_the_network_together() -> None:
    predictor, source = OneObject("blocks", at=0), FakeSource(12)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_to_end, pipeline(source, predictor))
        assert predictor.blocked.wait(PATIENCE_S)
        assert source.closed.wait(PATIENCE_S)  # the last four wait
        before = len(predictor.prepared)
        predictor.release.set()
        assert len(running.result(PATIENCE_S)) == 12
    assert len(predictor.windows) == 2
    assert len(predictor.prepared) == before


def test_slots_are_untangled_at_the_pace_of_the_key_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Sequence[int]] = []

    def note(found: Prediction, indices: Sequence[int]) -> Prediction:
        told.append(indices)
        return found

    monkeypatch.setattr(pipeline_module, "untangle", note)
    run_to_end(pipeline(FakeSource(16), OneObject(), stride=8, step=2))
    assert told == [tuple(range(0, 16, 2))]


@pytest.mark.usefixtures("_as_of_a_camera")
def test_a_window_s_time_has_what_was_prepared_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def advance(self: OneObject, waiting: object) -> None:
        nonlocal now
        now += 1

    monkeypatch.setattr(pipeline_module.time, "perf_counter", lambda: now)
    monkeypatch.setattr(OneObject, "encode_ahead", advance)
    whole = pipeline(FakeSource(16), OneObject(), stride=4)
    run_to_end(whole)
    # Seven frames before the first window, three before each of the two others.
    assert whole.summary().window_ms[0] == 3000


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 12, 29])
@pytest.mark.parametrize(("stride", "delay", "step"), [(4, 0, 1), (8, 1, 1), (3, 2, 1), (2, 1, 3)])
def test_every_frame_gets_one_result_in_order(
    count: int, stride: int, delay: int, step: int
) -> None:
    source = FakeSource(count)
    whole = pipeline(source, OneObject(), stride=stride, delay=delay, step=step)
    results = [output for output in run_to_end(whole) if isinstance(output, FrameResult)]
    assert [result.frame.index for result in results] == list(range(count))
    assert all(len(result.instances) == 1 for result in results)
    assert {i.track_id for result in results for i in result.instances} <= {1}
    assert [r.interpolated for r in results] == [r.frame.index % step != 0 for r in results]
    summary = whole.summary()
    assert (summary.frames, summary.dropped) == (count, 0)
    assert source.closed.is_set()


def test_who_is_behind_catches_up_by_larger_strides() -> None:
    predictor = OneObject("blocks", at=0)
    source = FakeSource(30)
    whole = pipeline(source, predictor, grows=True)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_to_end, whole)
        assert predictor.blocked.wait(PATIENCE_S)
        assert source.closed.wait(PATIENCE_S)
        predictor.release.set()
        outputs = running.result(PATIENCE_S)
    assert len(outputs) == 30
    assert [len(window.new) for window in predictor.windows] == [8, 8, 8, 6]


def test_an_epoch_ends_what_came_before() -> None:
    epochs = [make_epoch(0), make_epoch(1, size=(20, 30), reason="size")]
    predictor = OneObject()
    source = FakeSource(15, epochs=lambda index: epochs[index >= 6])
    whole = pipeline(source, predictor)
    outputs = run_to_end(whole)
    gaps = [place for place, output in enumerate(outputs) if isinstance(output, Gap)]
    assert gaps == [6]
    gap = outputs[6]
    assert isinstance(gap, Gap)
    assert gap.epoch is epochs[1]
    results = [output for output in outputs if isinstance(output, FrameResult)]
    ids = [result.instances[0].track_id for result in results]
    assert ids == [1] * 6 + [2] * 9
    for window in predictor.windows:
        assert len({frame.epoch for frame in window.new}) == 1
    assert (whole.summary().frames, whole.summary().dropped) == (15, 0)


@pytest.mark.parametrize("taken", [4, 7])
def test_who_leaves_at_the_end_of_an_epoch_loses_no_frame_uncounted(taken: int) -> None:
    epochs = [make_epoch(0), make_epoch(1, size=(20, 30), reason="size")]
    source = FakeSource(15, epochs=lambda index: epochs[index >= 6])
    whole = pipeline(source, OneObject())
    outputs = whole.outputs()
    given = [next(outputs) for _ in range(taken)]
    assert isinstance(given[-1], Gap if taken == 7 else FrameResult)
    outputs.close()
    whole.close()
    summary = whole.summary()
    assert summary.frames + summary.dropped == summary.decoded


def test_what_a_lost_source_gave_does_not_wait_until_it_is_back() -> None:
    epochs = [make_epoch(0), make_epoch(1, reason="reconnect")]
    source = FakeSource(12, epochs=lambda index: epochs[index >= 5], lost_before=[5])
    whole = pipeline(source, OneObject())
    outputs = whole.outputs()
    before = [next(outputs) for _ in range(5)]
    assert not source.found.is_set()
    source.found.set()
    after = list(outputs)
    whole.close()
    shown = [output.frame.index for output in before if isinstance(output, FrameResult)]
    assert shown == list(range(5))
    assert isinstance(after[0], Gap)
    assert after[0].epoch is epochs[1]
    assert [o.frame.index for o in after if isinstance(o, FrameResult)] == list(range(5, 12))


def test_what_a_breaking_source_gave_is_finished_first() -> None:
    whole = pipeline(FakeSource(13, "raises"), OneObject())
    indices: list[int] = []
    with pytest.raises(SourceError, match="caught fire"):
        for output in whole.outputs():
            assert isinstance(output, FrameResult)
            indices.append(output.frame.index)
    whole.close()
    assert indices == list(range(13))


def test_stopping_finishes_the_window_and_counts_the_rest_as_dropped() -> None:
    predictor = OneObject("blocks", at=1)
    source = FakeSource(100)
    whole = pipeline(source, predictor, delay=1)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_to_end, whole)
        assert predictor.blocked.wait(PATIENCE_S)
        whole.stop()
        predictor.release.set()
        outputs = running.result(PATIENCE_S)
    assert len(predictor.windows) == 2
    assert len(outputs) == 12
    summary = whole.summary()
    assert summary.frames == 12
    assert summary.dropped == source.given - 12


@pytest.mark.usefixtures("_as_of_a_camera")
def test_stopping_between_two_windows_counts_what_waits_for_the_next() -> None:
    class Stops(OneObject):
        def encode_ahead(self, waiting: Sequence[Frame]) -> None:
            if self.windows and len(waiting) == 2:
                whole.stop()

    whole = pipeline(FakeSource(100), Stops())
    assert len(run_to_end(whole)) == 8
    summary = whole.summary()
    assert summary.frames + summary.dropped == summary.decoded


def test_what_comes_too_fast_is_dropped_and_counted() -> None:
    predictor, source = OneObject("blocks"), FakeSource(100, "blocks")
    whole = pipeline(source, predictor, overflow="drop_oldest")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_to_end, whole)
        assert source.blocked.wait(PATIENCE_S)  # it has given all, to a window that takes for ever
        predictor.release.set()
        source.interrupt()
        results = [
            output for output in running.result(PATIENCE_S) if isinstance(output, FrameResult)
        ]
    summary = whole.summary()
    assert summary.dropped == sum(result.dropped for result in results) >= 80
    assert summary.frames + summary.dropped == summary.decoded == 100
    assert results[-1].frame.index == 99  # the oldest were dropped


class Part:
    """One of the three places where a run can go wrong, and how it does there."""

    def __init__(self, place: str, then: str) -> None:
        self.source = FakeSource(40, then if place == "decoder" else "finishes")
        self.predictor = OneObject(then if place == "main" else "finishes", at=1)
        self.sink = FakeSink(then if place == "sink" else "finishes")
        self.witness = FakeSink()
        self.part = {"decoder": self.source, "main": self.predictor, "sink": self.sink}[place]


EXPECTED = {
    "decoder": (SourceError, "caught fire"),
    "main": (RuntimeError, "fell over"),
    "sink": (SinkError, "disk full"),
}


def test_outputs_end_side_by_side() -> None:
    """None waits until the one before has finished: each may wait for its readers."""
    parts = Part("main", "finishes")
    all_at_their_end = threading.Barrier(3)

    class Waiting:
        def drain(self, outputs: RingBuffer[Output]) -> None:
            for _ in outputs:
                pass
            all_at_their_end.wait(PATIENCE_S)

        def close(self) -> None:
            pass

    sinks = [SinkThread(f"sink {number}", Waiting) for number in range(3)]
    for sink in sinks:
        sink.start()
    Run(pipeline(parts.source, parts.predictor), sinks, INFO).execute()
    assert not all_at_their_end.broken


@pytest.mark.parametrize(
    ("place", "then"), list(product(["decoder", "main", "sink"], ["raises", "blocks", "finishes"]))
)
def test_wherever_a_run_ends_all_is_closed_and_every_frame_counted(
    place: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.run.STOPPED_SINK_S", 0.2)
    parts = Part(place, then)
    sinks = [
        SinkThread("sink", lambda: parts.sink, capacity=2),
        SinkThread("witness", lambda: parts.witness),
    ]
    for sink in sinks:
        sink.start()
    run = Run(pipeline(parts.source, parts.predictor), sinks, INFO)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run.execute)
        if then == "blocks":
            assert parts.part.blocked.wait(PATIENCE_S)
            run.stop()
            if place == "main":
                parts.predictor.release.set()
        error = running.exception(PATIENCE_S)
    parts.sink.release.set()

    if then == "raises":
        kind, message = EXPECTED[place]
        assert isinstance(error, kind)
        assert message in str(error)
    elif (place, then) == ("sink", "blocks"):
        # It never takes another output: the run gives up on it and says so.
        assert isinstance(error, SinkError)
        assert "sink: took nothing more for 0.2 s" in str(error)
    else:
        assert error is None
    assert parts.source.closed.is_set()
    assert parts.predictor.closed
    assert parts.witness.closed
    assert isinstance(parts.witness.got[0], StreamInfo)
    end = parts.witness.got[-1]
    assert isinstance(end, EndOfStream)
    reasons = {"raises": "failed", "blocks": "stopped", "finishes": "end"}
    assert end.reason == reasons[then]
    results = [output for output in parts.witness.got if isinstance(output, FrameResult)]
    assert [result.frame.index for result in results] == list(range(len(results)))
    assert end.frames == len(results)
    assert end.frames + end.dropped == parts.source.given
    if then == "finishes":
        assert len(results) == 40


def test_a_source_that_never_returns_from_a_read_is_left_behind_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline_module, "DECODER_STOP_S", 0.1)
    source, witness = StuckSource(), FakeSink()
    sink = SinkThread("witness", lambda: witness)
    sink.start()
    run = Run(pipeline(source, OneObject()), [sink], INFO)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run.execute)
        assert source.reading.wait(PATIENCE_S)
        run.stop()
        error = running.exception(PATIENCE_S)
    was_closed = source.closed.is_set()
    source.unplugged.set()
    assert isinstance(error, SourceError)
    assert str(error) == "stuck: did not return from a read within 0.1 s"
    assert not was_closed
    assert witness.closed
    end = witness.got[-1]
    assert isinstance(end, EndOfStream)
    assert (end.reason, end.frames, end.dropped) == ("failed", 0, 0)


def test_the_first_error_is_raised_and_the_others_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = SinkThread("sink", lambda: FakeSink("raises"))
    sink.start()
    whole = pipeline(FakeSource(3, "raises"), OneObject())
    with pytest.raises(StreamError, match="caught fire"):
        Run(whole, [sink], INFO).execute()
    assert "disk full" in caplog.text


def test_a_run_ends_in_order_whatever_error_a_sink_has() -> None:
    class OfADevice(FakeSink):
        def drain(self, outputs: RingBuffer[Output]) -> None:
            for output in outputs:
                if isinstance(output, FrameResult):
                    raise DeviceError("the image cannot be fetched")

    witness = FakeSink()
    sinks = [SinkThread("mp4", OfADevice, capacity=2), SinkThread("witness", lambda: witness)]
    for sink in sinks:
        sink.start()
    with pytest.raises(DeviceError, match="the image cannot be fetched"):
        Run(pipeline(FakeSource(40), OneObject()), sinks, INFO).execute()
    results = [output for output in witness.got if isinstance(output, FrameResult)]
    end = witness.got[-1]
    assert isinstance(end, EndOfStream)
    assert (end.reason, end.frames) == ("failed", len(results))
    assert witness.closed


def test_a_run_ends_in_order_also_where_the_network_cannot_be_released() -> None:
    class Unreleasable(OneObject):
        def close(self) -> None:
            raise RuntimeError("still in use")

    source, witness = FakeSource(9), FakeSink()
    sink = SinkThread("witness", lambda: witness)
    sink.start()
    with pytest.raises(RuntimeError, match="still in use"):
        Run(pipeline(source, Unreleasable()), [sink], INFO).execute()
    assert source.closed.is_set()
    assert witness.closed
    assert witness.got[-1] == EndOfStream("failed", 9, 0)


def test_observers_are_told_of_every_result() -> None:
    seen: list[int] = []
    whole = pipeline(FakeSource(9), OneObject())
    summary = Run(whole, [], INFO, [lambda result: seen.append(result.frame.index)]).execute()
    assert seen == list(range(9))
    assert summary.frames == 9


def test_time_stands_still_once_there_are_no_more_results() -> None:
    whole = pipeline(FakeSource(9), OneObject())
    assert len(list(whole.outputs())) == 9
    assert whole.summary().wall_s == whole.summary().wall_s
    whole.close()


def test_the_network_is_released_also_where_the_source_cannot_be_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, predictor = FakeSource(3), OneObject()
    monkeypatch.setattr(source, "close", lambda: {}["lost"])
    with pytest.raises(KeyError):
        pipeline(source, predictor).close()
    assert predictor.closed
