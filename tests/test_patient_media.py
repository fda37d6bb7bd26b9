"""Devices that do not return from a read: left behind, opened again, counted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import NoReturn

import av
import pytest

from streamer.errors import SourceError, StreamError
from streamer.other_thread import on_another_thread
from streamer.source_config import SourceConfig
from streamer.sources import patient_media
from streamer.sources.media import SourceCounts
from streamer.sources.patient_media import MAX_STUCK, PatientMedia
from streamer.sources.picture import Picture
from streamer.sources.selection import Selection
from streamer.sources.source import Source
from tests.sources import read_broken
from tests.waits import PATIENCE_S

QUICK = SourceConfig(read_timeout_s=0.3, reconnect_delay_s=0.01, reconnect_max_delay_s=0.01)
SLOW = SourceConfig(read_timeout_s=1e4)


class Device:
    """Some pictures each time that it is opened; then it is stuck, until all are released."""

    shown = 3
    failures = skips = 0
    name, live, rate, frames = "/dev/video0", True, Fraction(10), None

    def __init__(self, room: Room, counts: SourceCounts) -> None:
        counts.corrupt += 1
        self.counts = counts
        self.room = room
        self.is_told = False
        self.closed_by: threading.Thread | None = None

    def pictures(self, start_s: Fraction) -> Iterator[Picture]:
        for index in range(self.shown):
            yield Picture(av.VideoFrame(64, 48, "rgb24"), index, Fraction(1, 10), None)
        assert self.room.fails.wait(PATIENCE_S)
        self.counts.corrupt += self.failures
        self.counts.skipped += self.skips
        self.room.stuck.release()
        assert self.room.returns.wait(PATIENCE_S)
        if self.room.breaks:
            raise SourceError(f"{self.name}: unplugged")

    def interrupt(self) -> None:
        self.is_told = True  # in vain: it is stuck

    def close(self) -> None:
        self.closed_by = threading.current_thread()


class Room:
    """Where the device is plugged in: notes each time that it is opened."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.opened: list[Device] = []
        self.breaks = breaks
        self.stuck = threading.Semaphore(0)
        self.returns = threading.Event()
        self.fails = threading.Event()
        self.fails.set()

    def open(self, counts: SourceCounts) -> Device:
        self.opened.append(Device(self, counts))
        return self.opened[-1]

    def source(self, config: SourceConfig) -> Source:
        return Source(PatientMedia(self.open, config), config, Selection(), 32)


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.returns.set()


def test_a_stuck_device_is_left_behind_and_opened_again(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    source = room.source(QUICK)
    frames = iter(source)
    came = [next(frames) for _ in range(7)]
    assert [frame and (frame.index, frame.epoch.index, frame.epoch.reason) for frame in came] == [
        *((index, 0, "start") for index in range(3)),
        None,
        *((index, 1, "reconnect") for index in range(3, 6)),
    ]
    assert (source.counts.reconnects, source.counts.corrupt) == (1, 2)
    assert "/dev/video0: no picture for 1.3 s; reads left behind: 1 after 3 frames" in caplog.text
    first, second = room.opened
    assert (first.closed_by, first.is_told) == (None, True)
    room.returns.set()
    source.close()
    for thread in threading.enumerate():
        if thread.name == "reader":
            thread.join(PATIENCE_S)
    assert first.closed_by not in {None, second.closed_by}


def test_packets_that_fail_are_counted_while_a_picture_is_awaited(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device, "failures", 7)
    room.fails.clear()
    media = PatientMedia(room.open, QUICK)
    pictures = media.pictures(Fraction(0))
    for _ in range(Device.shown):
        next(pictures)
    room.fails.set()
    assert room.stuck.acquire(timeout=PATIENCE_S)
    assert media.counts.corrupt == 8
    text = r"for 1\.3 s; 7 packets came damaged, or could not be decoded$"
    with pytest.raises(SourceError, match=text):
        next(pictures)
    again = media.pictures(Fraction(0))
    next(again)
    assert media.counts.corrupt == 9
    again.close()
    media.close()


def test_what_was_skipped_before_a_loss_counts(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Device, "skips", 5)
    source = room.source(QUICK)
    frames = iter(source)
    came = [next(frames) for _ in range(5)]
    assert [frame and frame.index for frame in came] == [0, 1, 2, None, 8]
    assert source.counts.skipped == 5
    source.close()


class Growing(SourceCounts):
    """Another picture is skipped each time that somebody asks how many are, for long."""

    def __init__(self) -> None:
        self.has_caught_up = threading.Event()
        self.asked = 0
        super().__init__()

    @property
    def skipped(self) -> int:
        self.asked += 1
        if self.asked > 12:
            self.has_caught_up.set()
        return self.asked

    @skipped.setter
    def skipped(self, _: int) -> None:
        pass


class CatchingUp(Device):
    """Skips what comes between two pictures."""

    def pictures(self, start_s: Fraction) -> Iterator[Picture]:
        for index in range(2):
            yield Picture(av.VideoFrame(64, 48, "rgb24"), index, Fraction(1, 10), None)
            assert isinstance(self.counts, Growing)
            assert self.counts.has_caught_up.wait(PATIENCE_S)


def test_a_source_that_is_catching_up_is_not_lost(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_media, "GRACE_S", 0.0)
    counts = Growing()
    media = PatientMedia(lambda _: CatchingUp(room, counts), QUICK)
    media.counts = counts
    assert [picture.pts for picture in media.pictures(Fraction(0))] == [0, 1]
    media.close()


def test_a_broadcast_that_is_over_when_it_is_opened_again_is_closed(room: Room) -> None:
    opened: list[Device] = []

    def open_media(counts: SourceCounts) -> Device:
        device = Device(room, counts)
        device.live = not opened
        opened.append(device)
        return device

    room.returns.set()
    media = PatientMedia(open_media, SLOW)
    assert len(list(media.pictures(Fraction(0)))) == Device.shown
    assert list(media.pictures(Fraction(0))) == []
    assert not media.live
    assert [device.closed_by is not None for device in opened] == [True, True]
    media.close()


def test_a_first_picture_has_the_time_to_open_too(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_media, "GRACE_S", 0.0)
    monkeypatch.setattr(Device, "shown", 0)
    source = room.source(SourceConfig(open_timeout_s=0.2, read_timeout_s=0.05))
    with pytest.raises(SourceError, match=r"no picture for 0\.25 s"):
        next(iter(source))


def test_no_more_than_so_many_are_left_behind(room: Room) -> None:
    source = room.source(QUICK)
    frames = iter(source)
    came = [next(frames) is not None for _ in range(4 * MAX_STUCK)]
    assert came == [True, True, True, False] * MAX_STUCK
    assert [next(frames) for _ in range(3)] == [None] * 3  # it is tried, and nothing is opened
    assert len(room.opened) == MAX_STUCK
    room.returns.set()  # the device is itself again
    while next(frames) is None:
        pass
    assert len(room.opened) > MAX_STUCK
    source.interrupt()
    source.close()


def test_a_stuck_device_does_not_hold_up_the_end(room: Room) -> None:
    source = room.source(SLOW)
    frames = iter(source)
    assert all(next(frames) for _ in range(3))
    ended = threading.Thread(target=lambda: list(frames))
    ended.start()
    assert room.stuck.acquire(timeout=PATIENCE_S)
    source.interrupt()
    ended.join(PATIENCE_S)
    assert not ended.is_alive()
    room.returns.set()
    source.close()
    assert room.opened[0].closed_by is not None


def test_interrupted_before_it_is_read_nothing_is_opened(room: Room) -> None:
    media = PatientMedia(room.open, SLOW)
    media.interrupt()
    assert list(media.pictures(Fraction(0))) == []
    media.close()
    assert room.opened[0].closed_by is threading.current_thread()


def test_an_error_of_the_device_comes_through() -> None:
    room = Room(breaks=True)
    room.returns.set()
    config = SourceConfig(max_reconnects=0)
    frames, message = read_broken(room.source(config))
    assert [frame is None for frame in frames] == [False] * 3 + [True]
    assert message.startswith("/dev/video0: unplugged after 3 frames; given up")
    assert room.opened[0].closed_by is not None


def test_nothing_is_opened_that_nobody_waits_for_any_more() -> None:
    go, done = threading.Event(), threading.Event()
    main = threading.main_thread().ident  # it waits
    errors: list[StreamError] = []

    def open_media(_: SourceCounts) -> NoReturn:
        raise SourceError("not there")

    def try_twice() -> None:
        for _ in range(2):
            with pytest.raises(StreamError) as caught:
                PatientMedia(open_media, SLOW)
            errors.append(caught.value)
            if len(errors) == 1:
                assert main is not None
                signal.pthread_kill(main, signal.SIGINT)
                assert go.wait(PATIENCE_S)

    with pytest.raises(KeyboardInterrupt):
        on_another_thread(try_twice, lambda _: done.set())
    go.set()
    assert done.wait(PATIENCE_S)
    assert [isinstance(error, SourceError) for error in errors] == [True, False]
    assert str(errors[1]) == "the opening was interrupted"


def test_a_source_is_closed_whose_reader_cannot_begin(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(_: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    media = PatientMedia(room.open, SLOW)
    monkeypatch.setattr(threading.Thread, "start", exhausted)
    with pytest.raises(RuntimeError):
        next(media.pictures(Fraction(0)))
    media.close()
    assert room.opened[0].closed_by is threading.current_thread()
