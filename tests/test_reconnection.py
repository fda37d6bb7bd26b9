"""Live sources that are lost and come back, on real sockets."""

from __future__ import annotations

import gc
import logging
import threading
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from av.video.codeccontext import VideoCodecContext

from streamer.errors import SourceError
from streamer.frame import Frame
from streamer.image_encoding import encode_jpeg
from streamer.source_config import SourceConfig
from streamer.sources import reconnection as reconnection_module
from streamer.sources import source as source_module
from streamer.sources.container_media import MAX_LIVE_FAILURES
from streamer.sources.reconnection import Reconnection
from streamer.sources.selection import Selection
from tests.camera import Camera, End, transport_stream, without_first_frame
from tests.clips import draw, make_clip
from tests.descriptors import kept, open_descriptors
from tests.sources import opened, read, read_broken
from tests.waits import PATIENCE_S
from tests.web import serving

QUICK = {
    "format": "mpegts",
    "reconnect_delay_s": 0.01,
    "reconnect_max_delay_s": 0.01,
    "max_reconnects": 1,
}


def lost_for_good(camera: Camera, **config: Any) -> tuple[list[Frame | None], str]:
    return read_broken(opened(camera.url, **(QUICK | config)))


class Waits(threading.Event):
    """Never set; notes for how long it was waited for instead."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        return False


def test_a_camera_that_comes_back_begins_an_epoch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = transport_stream(tmp_path)
    with Camera([(clip, "closes")] * 3) as camera:
        source = opened(camera.url, **QUICK)
        frames, message = read_broken(source)
    assert [frame and (frame.index, frame.epoch.index) for frame in frames] == [
        *((i, 0) for i in range(12)),
        None,
        *((i, 1) for i in range(12, 24)),
        None,
        *((i, 2) for i in range(24, 36)),
        None,
        None,
    ]
    reasons = {frame.epoch.index: frame.epoch for frame in frames if frame}
    assert [(each.reason, each.missing) for each in reasons.values()] == [
        ("start", 0),
        ("reconnect", None),
        ("reconnect", None),
    ]
    times = [frame.time_s for frame in frames if frame]
    assert all(later > earlier for earlier, later in pairwise(times))
    assert source.counts.reconnects == 2
    assert "given up after 1 attempts to reconnect" in message
    assert caplog.messages[0].startswith(f"{camera.url}: the live source ended after 12 frames; at")


def test_a_frozen_camera_is_found_within_the_time_out(tmp_path: Path) -> None:
    clip = transport_stream(tmp_path, frames=40)
    with Camera([(clip, "freezes")]) as camera:
        frames, message = lost_for_good(camera, read_timeout_s=2, max_reconnects=0)
    assert sum(frame is not None for frame in frames) >= 39
    assert frames[-1] is None
    assert "given up after 0 attempts" in message


@pytest.mark.parametrize(("gop", "shown"), [(80, 20), (400, 0)])
def test_a_camera_joined_before_its_next_key_frame(tmp_path: Path, gop: int, shown: int) -> None:
    """Eight seconds are waited for, and more packets than that are a loss."""
    path = tmp_path / "camera.ts"
    make_clip(path, frames=gop + 20, gop=gop, codec_options={"x264-params": "scenecut=0"})
    with Camera([(without_first_frame(path.read_bytes()), "closes")]) as camera:
        source = opened(camera.url, **(QUICK | {"max_reconnects": 0}))
        frames, message = read_broken(source)
    assert sum(frame is not None for frame in frames) == shown
    assert source.counts.corrupt >= min(gop - 5, MAX_LIVE_FAILURES)
    assert ("packets in a row cannot be decoded" in message) == (shown == 0)


@pytest.mark.parametrize("then", ["hums", "sings"])
def test_a_camera_whose_picture_freezes_is_lost_whatever_else_it_sends(
    tmp_path: Path, then: End
) -> None:
    clip = transport_stream(tmp_path, audio_s=300)
    with Camera([(clip, then), (clip, "closes")]) as camera:
        frames, _ = lost_for_good(camera, read_timeout_s=1, max_reconnects=1)
    epochs = [None if frame is None else frame.epoch.index for frame in frames]
    assert epochs[:10] == [0] * 10
    assert None in epochs[10:13]
    assert epochs.count(1) == 12


def test_an_interruption_ends_a_read(tmp_path: Path) -> None:
    clip = transport_stream(tmp_path, frames=40)
    with Camera([(clip, "freezes")]) as camera:
        source = opened(camera.url, format="mpegts", read_timeout_s=1e3, open_timeout_s=1e3)
        nearly_all = threading.Event()

        def read_on() -> None:
            for count, _ in enumerate(source):
                if count == 35:
                    nearly_all.set()

        rest = threading.Thread(target=read_on)
        rest.start()
        assert nearly_all.wait(PATIENCE_S)
        rest.join(0.5)
        assert rest.is_alive()  # it waits for what does not come
        source.interrupt()
        rest.join(PATIENCE_S)
        assert not rest.is_alive()
        source.close()


def test_an_http_camera_is_live_if_the_user_says_so(http_url: str, tmp_path: Path) -> None:
    (tmp_path / "camera.ts").write_bytes(transport_stream(tmp_path))
    url = f"{http_url}/camera.ts"
    assert {frame.epoch.index for frame in read(url)} == {0}
    source = opened(url, Selection(max_frames=20), live=True, reconnect_delay_s=0.01)
    frames = list(source)
    source.close()
    assert [frame and frame.epoch.index for frame in frames] == [0] * 12 + [None] + [1] * 8


class MotionJpegHandler(BaseHTTPRequestHandler):
    """A camera's twelve pictures, one part each."""

    cut = 0
    """Bytes of the last picture that do not come."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
        self.end_headers()
        for index in range(12):
            jpeg = encode_jpeg(draw(index, (48, 64)), 90)
            head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            if index < 11 or not self.cut:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            else:
                self.wfile.write(head.encode() + jpeg[: -self.cut])

    def log_message(self, *_: object) -> None:
        pass


def test_motion_jpeg_has_no_times_but_those_of_arrival() -> None:
    with serving(MotionJpegHandler) as address:
        selection = Selection(max_frames=20)
        source = opened(f"{address}/video", selection, live=True, reconnect_delay_s=0.01)
        frames = list(source)
        source.close()
    assert [frame and frame.epoch.index for frame in frames] == [0] * 12 + [None] + [1] * 8
    received = [frame for frame in frames if frame is not None]
    assert {frame.pts for frame in received} == {None}
    assert all(later.time_s > earlier.time_s for earlier, later in pairwise(received))


def test_half_a_picture_is_left_out() -> None:
    handler = type("Cut", (MotionJpegHandler,), {"cut": 300})
    with serving(handler) as address:
        source = opened(f"{address}/video", live=True, max_reconnects=0)
        frames, _ = read_broken(source)
    assert [frame is None for frame in frames] == [False] * 11 + [True]
    assert source.counts.corrupt == 1


def test_a_playlist_that_is_over_is_not_played_again(tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    make_clip(playlist, frames=24, format="hls", container_options={"hls_list_size": "0"})
    finished = playlist.read_text()
    playlist.write_text(finished.replace("#EXT-X-ENDLIST", ""))
    source = opened(playlist, read_timeout_s=2, reconnect_delay_s=0.01)
    frames = iter(source)
    shown = 0
    while next(frames) is not None:
        shown += 1
    playlist.write_text(finished)
    assert list(frames) == []
    assert shown == 24
    source.close()


def test_the_size_may_have_changed(tmp_path: Path) -> None:
    clips = [transport_stream(tmp_path, size=size) for size in ((48, 64), (64, 96))]
    with Camera([(clip, "closes") for clip in clips]) as camera:
        frames, _ = lost_for_good(camera)
    sizes = [frame.image.shape[:2] for frame in frames if frame]
    assert sizes == [(48, 64)] * 12 + [(64, 96)] * 12


def test_a_region_that_never_fitted_is_not_tried_again(tmp_path: Path) -> None:
    region = Selection(roi=(0, 0, 640, 480))
    with Camera([(transport_stream(tmp_path), "closes")]) as camera:
        source = opened(camera.url, region, **(QUICK | {"wait": True}))
        frames, message = read_broken(source)
    assert frames == []
    assert "reaches beyond the frame of 64x48" in message
    assert "attempt" not in message


def test_a_region_that_fitted_is_waited_for(tmp_path: Path) -> None:
    """Who watches a camera that was set to another size for a while wants it back."""
    large, small = tmp_path / "large", tmp_path / "small"
    for folder, size in ((large, (96, 128)), (small, (48, 64))):
        folder.mkdir()
        make_clip(folder / "clip.ts", size=size)
    clips = [(folder / "clip.ts").read_bytes() for folder in (large, small, large)]
    with Camera([(clip, "closes") for clip in clips]) as camera:
        region = Selection(roi=(0, 0, 128, 96))
        source = opened(camera.url, region, **(QUICK | {"max_reconnects": 2}))
        frames, _ = read_broken(source)
    assert [frame.epoch.size for frame in frames if frame] == [(96, 128)] * 24


def test_a_camera_that_was_never_there_is_an_error_at_once() -> None:
    with Camera([], listening=False) as camera, pytest.raises(SourceError, match="refused"):
        opened(camera.url, format="mpegts")


def test_a_camera_without_a_frame_is_no_loss() -> None:
    with Camera([(b"", "closes")]) as camera, pytest.raises(SourceError, match="ends before"):
        opened(camera.url, format="mpegts")


def test_a_camera_is_waited_for_if_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = transport_stream(tmp_path)
    reasons: list[str] = []
    with Camera([(clip, "closes")], listening=False) as camera:

        def come_up(_: Reconnection, reason: SourceError) -> None:
            reasons.append(str(reason))
            if len(reasons) > 1:
                raise reason
            camera.listen()

        monkeypatch.setattr(Reconnection, "wait", come_up)
        frames, message = lost_for_good(camera, wait=True)
    assert "refused" in reasons[0]
    assert [frame and frame.epoch.reason for frame in frames] == ["start"] * 12 + [None]
    assert "the live source ended after 12 frames" in message


def test_waits_double_up_to_a_maximum_and_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits()
    now_s = 100.0
    monkeypatch.setattr(reconnection_module.time, "monotonic", lambda: now_s)
    config = SourceConfig(reconnect_delay_s=1, reconnect_max_delay_s=6)
    attempts = Reconnection("cam", config, waits)
    for _ in range(100):
        attempts.wait(SourceError("cam: lost"))
    longest = [1, 2, 4] + [6] * 97
    assert all(most / 2 <= s <= most for s, most in zip(waits.seconds, longest, strict=True))
    assert len(set(waits.seconds)) > 90
    assert attempts.reached()
    now_s += 6  # for as long as the longest wait it gives frames
    assert not attempts.reached()
    attempts.wait(SourceError("cam: lost"))
    assert waits.seconds[-1] <= 1


def test_waits_grow_for_a_camera_that_is_lost_soon_after_each_return(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Waits()
    now_s = 100.0
    monkeypatch.setattr(reconnection_module.time, "monotonic", lambda: now_s)
    config = SourceConfig(reconnect_delay_s=1, reconnect_max_delay_s=6, max_reconnects=1)
    attempts = Reconnection("cam", config, waits)
    for _ in range(4):  # none of them in vain
        attempts.wait(SourceError("cam: lost"))
        assert attempts.reached()
        now_s += 5.9
        assert not attempts.reached()
        now_s += 30  # until its loss is noticed
    longest = [1, 2, 4, 6]
    assert all(most / 2 <= s <= most for s, most in zip(waits.seconds, longest, strict=True))
    assert caplog.messages[-1] == "cam: back at attempt 1"


def test_a_camera_that_is_gone_for_weeks_is_still_waited_for() -> None:
    waits = Waits()
    attempts = Reconnection("cam", SourceConfig(reconnect_max_delay_s=6), waits)
    for _ in range(1100):  # a float has no such power of two
        attempts.wait(SourceError("cam: lost"))
    assert 3 <= waits.seconds[-1] <= 6


def test_a_camera_that_gives_no_frame_at_first_is_waited_for_too(tmp_path: Path) -> None:
    clip = transport_stream(tmp_path)
    with Camera([(without_first_frame(clip), "closes"), (clip, "closes")]) as camera:
        frames, _ = lost_for_good(camera, wait=True)
    reasons = [frame and frame.epoch.reason for frame in frames]
    assert reasons == [None, *(["start"] * 12), None, None]


def test_a_camera_keeps_its_own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits()
    monkeypatch.setattr(source_module, "Event", lambda: waits)
    with Camera([(transport_stream(tmp_path), "closes")]) as camera:
        source = opened(camera.url, Selection(max_frames=12), format="mpegts", realtime=True)
        assert len(list(source)) == 12
        source.close()
    assert waits.seconds == []


def test_an_interruption_ends_a_wait(tmp_path: Path) -> None:
    with Camera([(transport_stream(tmp_path), "closes")]) as camera:
        source = opened(camera.url, format="mpegts", reconnect_delay_s=1e4)
        frames = iter(source)
        while next(frames) is not None:
            pass
        source.interrupt()
        assert list(frames) == []
        source.close()


@pytest.mark.parametrize("then", ["closes", "resets"])
def test_ten_losses_leave_nothing_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, then: End
) -> None:
    caplog.set_level(logging.ERROR)
    clip = transport_stream(tmp_path, frames=3 if then == "closes" else 40)

    counts = []
    epoch = None
    gc.disable()  # what only a search for cycles finds stays for long in a run
    try:
        with Camera([(clip, then)] * 11) as camera:
            source = opened(camera.url, **QUICK)
            with pytest.raises(SourceError):
                for frame in source:
                    if frame is None:
                        for thread in threading.enumerate():
                            if thread.name == "reader":
                                thread.join(PATIENCE_S)
                        kinds = (VideoCodecContext, Frame)
                        counts.append(
                            (
                                open_descriptors(),
                                threading.active_count(),
                                *(kept(kind) for kind in kinds),
                            )
                        )
                    elif frame.epoch is not epoch:
                        epoch = frame.epoch
                        camera.reset()
            source.close()
    finally:
        gc.enable()
    assert source.counts.reconnects == 10
    # The camera's own socket of a session may be open still, or closed.
    assert abs(counts[9][0] - counts[1][0]) <= 1
    assert counts[9][1:] == counts[1][1:]
