"""Cameras behind a real RTSP server, which is killed, frozen and started again."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.rtsp_server import RtspServer
from streamer.errors import SourceError
from streamer.frame import Frame
from tests.clips import make_clip
from tests.sources import opened, read_broken

CLIP = "camera.mp4"
QUICK = {"reconnect_delay_s": 0.05, "reconnect_max_delay_s": 0.2}


def record(folder: Path, *, size: tuple[int, int] = (48, 64)) -> None:
    """Put a clip of ten frames, 20 per second, where the server shows it."""
    make_clip(folder / CLIP, frames=10, size=size, fps=20, codec_options={"tune": "zerolatency"})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RtspServer]:
    record(tmp_path)
    with RtspServer(tmp_path) as server:
        yield server


def frames_until(frames: Iterator[Frame | None], epoch: int, count: int) -> list[Frame | None]:
    """What comes up to the epoch's first frames, so many."""
    came: list[Frame | None] = []
    for frame in frames:
        came.append(frame)
        if sum(each is not None and each.epoch.index == epoch for each in came) == count:
            return came
    raise AssertionError(f"over after {came}")


def lose(frames: Iterator[Frame | None]) -> None:
    """Read until the source says that it is lost."""
    assert None in frames


def test_a_stream_comes_live_with_rising_times(server: RtspServer) -> None:
    source = opened(server.url(CLIP), read_timeout_s=10)
    assert source.live
    frames = frames_until(iter(source), 0, 25)  # the clip has 10: it goes on from one to the next
    source.close()
    shown = [frame for frame in frames if frame is not None]
    assert len(shown) == len(frames) == 25
    assert {frame.image.shape for frame in shown} == {(48, 64, 3)}
    times = [frame.time_s for frame in shown]
    assert all(later > earlier for earlier, later in pairwise(times))
    # The server's sender reports tell its clock, which is this machine's, once one has come.
    clocks = [frame.capture_clock for frame in shown]
    assert clocks == sorted(clocks, key=["arrival", "camera"].index)
    assert clocks[-1] == "camera"
    assert shown[-1].capture_unix_ns == pytest.approx(time.time_ns(), abs=60e9)


def test_a_server_that_is_killed_is_found_again(
    server: RtspServer, caplog: pytest.LogCaptureFixture
) -> None:
    source = opened(server.url(CLIP), read_timeout_s=10, **QUICK)
    frames = iter(source)
    frames_until(frames, 0, 3)
    server.kill()
    lose(frames)
    record(server.folder, size=(64, 96))
    server.start()
    came = frames_until(frames, 1, 3)
    source.close()
    later = [frame for frame in came if frame is not None]
    assert [(frame.epoch.reason, frame.epoch.missing) for frame in later] == [
        ("reconnect", None)
    ] * 3
    assert {frame.image.shape for frame in later} == {(64, 96, 3)}
    assert source.reconnects == 1
    assert "attempt 1 to reconnect" in caplog.text


def test_a_frozen_server_is_found_within_the_read_timeout(server: RtspServer) -> None:
    timeout_s = 3.0
    source = opened(server.url(CLIP), read_timeout_s=timeout_s, open_timeout_s=0.5, **QUICK)
    frames = iter(source)
    frames_until(frames, 0, 3)
    server.send(signal.SIGSTOP)
    began = time.monotonic()
    lose(frames)
    # FFmpeg's own time-out passes twice: after the first it gives what its parser held.
    assert time.monotonic() - began < 1.7 * timeout_s
    server.send(signal.SIGCONT)
    came = frames_until(frames, 1, 3)
    source.close()
    assert [frame.epoch.reason for frame in came if frame] == ["reconnect"] * 3


def test_a_stream_that_ends_is_a_loss(server: RtspServer) -> None:
    source = opened(server.url(CLIP, plays=1), read_timeout_s=10, max_reconnects=0)
    frames, message = read_broken(source)
    assert len(frames) > 5
    assert frames[-1] is None
    assert "the live source ended" in message
    assert "given up after 0 attempts" in message


def test_a_stream_that_is_not_there_is_an_error_at_once(server: RtspServer) -> None:
    with pytest.raises(SourceError, match="404"):
        opened(server.url("nobody.mp4"))
    server.kill()
    with pytest.raises(SourceError, match="refused"):
        opened(server.url(CLIP))


@pytest.mark.slow
def test_twenty_restarts_leave_nothing_behind(server: RtspServer) -> None:
    def held() -> tuple[int, int]:
        return sum(1 for _ in Path("/proc/self/fd").iterdir()), threading.active_count()

    source = opened(server.url(CLIP), read_timeout_s=10, **QUICK)
    frames = iter(source)
    counts = []
    for restart in range(20):
        frames_until(frames, restart, 2)
        counts.append(held())
        server.kill()
        lose(frames)
        server.start()
    frames_until(frames, 20, 1)
    source.close()
    assert source.reconnects == 20
    assert counts[-1] == counts[1]
