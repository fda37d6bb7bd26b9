from __future__ import annotations

from pathlib import Path

import pytest

from streamer.errors import DeviceError, SourceError
from streamer.ring_buffer import RingBuffer
from streamer.source_config import SourceConfig
from streamer.sources.decoder_thread import DecoderThread
from streamer.sources.selection import Selection
from streamer.sources.source_opening import open_source
from tests.clips import make_clip, truncate
from tests.fakes import FakeSource, StuckSource
from tests.waits import PATIENCE_S


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    make_clip(tmp_path / "a.mp4", frames=20, container_options={"movflags": "faststart"})
    return tmp_path / "a.mp4"


def decoder_of(clip: Path, capacity: int = 4) -> DecoderThread:
    source = open_source(str(clip), SourceConfig(), Selection(), 32)
    return DecoderThread(source, RingBuffer(capacity))


def test_hands_all_frames_over_and_closes(clip: Path) -> None:
    decoder = decoder_of(clip)
    decoder.start()
    assert [frame.index for frame in decoder.frames] == list(range(20))
    assert decoder.stop(PATIENCE_S)
    assert decoder.decoded == 20


def test_the_error_comes_after_the_frames(clip: Path) -> None:
    truncate(clip, 0.6)
    decoder = decoder_of(clip)
    decoder.start()
    frames = []
    with pytest.raises(SourceError, match=r"breaks off after \d+ of 20 frames"):
        frames.extend(frame for frame in decoder.frames)
    assert decoder.stop(PATIENCE_S)


@pytest.mark.parametrize("error", [None, DeviceError("elsewhere")])
def test_closing_the_buffer_ends_a_blocked_decoder(clip: Path, error: DeviceError | None) -> None:
    decoder = decoder_of(clip, capacity=1)
    decoder.start()
    assert decoder.frames.get(PATIENCE_S).index == 0
    decoder.frames.close(error)
    assert decoder.stop(PATIENCE_S)


def test_one_that_never_began_may_be_stopped_twice() -> None:
    decoder = DecoderThread(FakeSource(0), RingBuffer(4))
    assert decoder.stop(PATIENCE_S)
    assert decoder.stop(PATIENCE_S)


def test_stopping_interrupts_a_read() -> None:
    source = FakeSource(0, "blocks")
    decoder = DecoderThread(source, RingBuffer(4))
    decoder.start()
    assert source.blocked.wait(PATIENCE_S)
    assert decoder.stop(PATIENCE_S)
    assert source.interrupted.is_set()


def test_stop_before_start_closes_the_source() -> None:
    source = StuckSource()
    decoder = DecoderThread(source, RingBuffer(4))
    assert decoder.stop(PATIENCE_S)
    assert source.closed.is_set()
    assert list(decoder.frames) == []


def test_a_device_that_does_not_return_is_left_behind() -> None:
    source = StuckSource()
    decoder = DecoderThread(source, RingBuffer(4))
    decoder.start()
    assert source.reading.wait(PATIENCE_S)
    assert not decoder.stop(0.01)
    assert not source.closed.is_set()
    source.unplugged.set()
    assert source.closed.wait(PATIENCE_S)
    assert decoder.stop(PATIENCE_S)


def test_a_thread_that_begins_after_the_stop_leaves_the_source_alone() -> None:
    """As where Ctrl-C comes while it is started."""
    source = StuckSource()
    decoder = DecoderThread(source, RingBuffer(4))
    assert decoder.stop(PATIENCE_S)
    source.closed.clear()
    decoder.start()
    assert decoder.stop(PATIENCE_S)
    assert not source.reading.is_set()
    assert not source.closed.is_set()


class Unclosable(StuckSource):
    def close(self) -> None:
        super().close()
        raise OSError("the device is gone")


@pytest.mark.parametrize(
    ("error", "text"),
    [(None, "stuck: OSError: the device is gone"), (SourceError("no picture"), "no picture")],
)
def test_an_error_while_closing_counts_unless_another_came_first(
    error: Exception | None, text: str
) -> None:
    source = Unclosable(error)
    source.unplugged.set()
    decoder = DecoderThread(source, RingBuffer(4))
    decoder.start()
    with pytest.raises(SourceError, match=text):
        decoder.frames.get(PATIENCE_S)
    assert decoder.stop(PATIENCE_S)
    assert source.closed.is_set()


def test_an_unforeseen_error_becomes_a_source_error() -> None:
    decoder = DecoderThread(StuckSource(ZeroDivisionError("odd")), RingBuffer(4))
    decoder.start()
    with pytest.raises(SourceError, match="stuck: ZeroDivisionError: odd"):
        decoder.frames.get(PATIENCE_S)
    assert decoder.stop(PATIENCE_S)
