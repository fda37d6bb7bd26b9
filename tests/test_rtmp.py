"""RTMP from a real server, which goes and comes back."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from streamer.source_options import SourceConfig
from streamer.sources.container_opening import network_options
from streamer.sources.source_spec import SourceSpec
from tests.clips import make_clip
from tests.rtmp_server import RtmpServer
from tests.sources import opened

PATIENT = {"wait": True, "reconnect_delay_s": 0.05, "reconnect_max_delay_s": 0.2}


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_a_server_that_is_lost_is_found_again(tmp_path: Path, fault: str) -> None:
    drawn = make_clip(tmp_path / "clip.mp4", frames=60, fps=30)
    with RtmpServer(tmp_path / "clip.mp4") as server:
        source = opened(server.url, read_timeout_s=0.5, **PATIENT)
        assert source.live
        frames = iter(source)
        before = [next(frames) for _ in range(40)]
        getattr(server, fault)()
        held = []  # what had arrived
        while (frame := next(frames)) is not None:
            held.append(frame)
        server.kill()
        server.start()
        after = [next(frames) for _ in range(20)]
        source.interrupt()
        source.close()
    received = [frame for frame in (*before, *held, *after) if frame is not None]
    assert [frame.index for frame in received] == list(range(len(received)))
    assert received[0].image.shape == drawn[0].shape
    assert all(later.time_s > earlier.time_s for earlier, later in pairwise(received))
    epochs = {frame.epoch.index: frame.epoch for frame in received}
    assert [epoch.reason for epoch in epochs.values()] == ["start", "reconnect"]
    assert source.reconnects == 1
    assert {frame.capture_clock for frame in received} == {"arrival"}


def test_sound_is_not_waited_for_as_long_as_ffmpeg_would() -> None:
    config = SourceConfig()
    spec = SourceSpec.parse("rtmp://camera/live/stream", config)
    assert int(network_options(spec, config)["analyzeduration"]) <= 1e6
