"""Cameras behind a real RTSP server, which is killed, frozen and started again."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import trustme

from benchmarks.rtsp_server import RtspServer
from streamer import cli
from streamer.errors import SourceError
from streamer.frame import Frame
from streamer.sources.reconnection import Reconnection
from streamer.sources.source import Source
from tests.clips import make_clip
from tests.descriptors import open_descriptors
from tests.rtsp_front import Challenge, RtspFront
from tests.sources import opened, read_broken
from tests.tls_front import TlsFront

CLIP = "camera.mp4"
QUICK = {"reconnect_delay_s": 0.05, "reconnect_max_delay_s": 0.2}
CREDENTIALS = "mé:p@ss/w:rd #1%"


def record(folder: Path, *, size: tuple[int, int] = (48, 64)) -> None:
    """Put a clip of ten frames, 20 per second, where the server shows it."""
    make_clip(folder / CLIP, frames=10, size=size, fps=20, codec_options={"tune": "zerolatency"})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RtspServer]:
    record(tmp_path)
    with RtspServer(tmp_path) as server:
        yield server


@pytest.fixture
def secret(tmp_path: Path) -> str:
    (tmp_path / "secret").write_text(CREDENTIALS, encoding="utf-8")
    return str(tmp_path / "secret")


@pytest.fixture
def wrong_secret(tmp_path: Path) -> str:
    (tmp_path / "wrong").write_text("mé:hunter2", encoding="utf-8")
    return str(tmp_path / "wrong")


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
    assert source.counts.reconnects == 1
    assert "attempt 1 to reconnect" in caplog.text


def test_a_frozen_server_is_found_within_the_read_timeout(
    server: RtspServer, caplog: pytest.LogCaptureFixture
) -> None:
    source = opened(server.url(CLIP), read_timeout_s=3, open_timeout_s=0.5, **QUICK)
    frames = iter(source)
    frames_until(frames, 0, 3)
    server.send(signal.SIGSTOP)
    lose(frames)
    server.send(signal.SIGCONT)
    came = frames_until(frames, 1, 3)
    source.close()
    # And not FFmpeg's own time-out, which passes twice: after the first it gives what it held.
    assert "no picture for 3 s (source.read_timeout_s) after" in caplog.text
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


def lost_and_found(source: Source, server: RtspServer) -> Iterator[Frame | None]:
    """What comes after a source was shown by the camera's clock, lost, and shown again."""
    frames = iter(source)
    shown = [frame for frame in frames_until(frames, 0, 25) if frame is not None]
    assert len(shown) == 25
    assert shown[-1].capture_clock == "camera"
    server.kill()
    lose(frames)
    server.start()
    frames_until(frames, 1, 3)
    return frames


@pytest.mark.slow
def test_a_stream_over_udp_is_found_again_and_freezes_like_any(server: RtspServer) -> None:
    with RtspFront(server.port, udp=True) as front:
        with pytest.raises(SourceError, match="Protocol not supported"):
            opened(front.url(CLIP), transport="tcp")
        source = opened(front.url(CLIP), transport="udp", read_timeout_s=3, **QUICK)
        frames = lost_and_found(source, server)
        server.send(signal.SIGSTOP)
        lose(frames)
        server.send(signal.SIGCONT)
        frames_until(frames, 2, 3)
        source.close()
    assert source.counts.reconnects == 2


def test_a_stream_over_tls_is_lost_and_found_like_any(server: RtspServer, tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    for name, known in (("ca.pem", authority), ("stranger.pem", stranger)):
        known.cert_pem.write_to_path(tmp_path / name)
    with TlsFront(server.port, authority) as front:
        url = f"rtsps://127.0.0.1:{front.port}/{CLIP}/play_count_0"
        opened(url).close()  # without tls_ca nothing is checked
        with pytest.raises(SourceError, match=r"no certificate to be trusted \(source.tls_ca\)"):
            opened(url, tls_ca=str(tmp_path / "stranger.pem"))
        with pytest.raises(SourceError, match=r"source.tls_ca .*/missing.pem: no such file"):
            opened(url, tls_ca=str(tmp_path / "missing.pem"))
        source = opened(url, tls_ca=str(tmp_path / "ca.pem"), **QUICK)
        lost_and_found(source, server)
        source.close()
    assert source.counts.reconnects == 1


def test_a_server_that_has_no_udp_is_an_error(server: RtspServer) -> None:
    with pytest.raises(SourceError, match="Protocol not supported"):
        opened(server.url(CLIP), transport="udp")


@pytest.mark.parametrize("challenge", ["Basic", "Digest"])
def test_the_right_password_opens_and_no_other(
    server: RtspServer, secret: str, wrong_secret: str, challenge: Challenge
) -> None:
    with RtspFront(server.port, credentials=CREDENTIALS, challenge=challenge) as front:
        source = opened(front.url(CLIP), credentials=secret)
        frames_until(iter(source), 0, 3)
        source.close()
        with pytest.raises(SourceError) as caught:
            opened(front.url(CLIP), credentials=wrong_secret)
        wrong = f"{front.url(CLIP)}: 401, wrong user or password (source.credentials)"
        assert str(caught.value) == wrong
        with pytest.raises(SourceError, match="401, it asks for a user and a password"):
            opened(front.url(CLIP))


def test_a_wrong_password_ends_the_command_with_1(
    server: RtspServer, wrong_secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with RtspFront(server.port, credentials=CREDENTIALS) as front:
        assert cli.main([front.url(CLIP), "--source.credentials", wrong_secret]) == 1
        errors = capsys.readouterr().err
        last = errors.splitlines()[-1]
        assert f"error: {front.url(CLIP)}: 401, wrong user or password" in last
    assert "hunter2" not in errors


def test_a_refused_password_is_tried_again_where_a_lost_camera_is(
    server: RtspServer, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RtspFront(server.port, credentials="mé:changed") as front:
        wait, reasons = Reconnection.wait, list[str]()

        def give_in(attempts: Reconnection, reason: SourceError) -> None:
            reasons.append(str(reason))
            if "401" in reasons[-1]:
                front.credentials = CREDENTIALS
            wait(attempts, reason)

        monkeypatch.setattr(Reconnection, "wait", give_in)
        source = opened(front.url(CLIP), credentials=secret, wait=True, read_timeout_s=10, **QUICK)
        assert "401" in reasons.pop()
        frames = iter(source)
        frames_until(frames, 0, 3)
        front.credentials = "mé:changed again"
        server.kill()
        lose(frames)
        server.start()
        frames_until(frames, 1, 3)
        source.close()
    assert any("401" in reason for reason in reasons)


@pytest.mark.slow
def test_ten_restarts_leave_nothing_behind(server: RtspServer) -> None:
    def held() -> tuple[int, int]:
        return open_descriptors(), threading.active_count()

    source = opened(server.url(CLIP), read_timeout_s=10, **QUICK)
    frames = iter(source)
    counts = []
    for restart in range(10):
        frames_until(frames, restart, 2)
        counts.append(held())
        server.kill()
        lose(frames)
        server.start()
    frames_until(frames, 10, 1)
    source.close()
    assert source.counts.reconnects == 10
    assert counts[-1] == counts[1]
