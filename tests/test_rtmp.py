"""RTMP from a real server, which goes and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.source_config import SourceConfig
from streamer.sources.container_opening import network_options
from streamer.sources.source_spec import SourceSpec
from tests.clips import make_clip
from tests.rtmp_server import RtmpServer
from tests.sources import lose_and_find, opened

PATIENT = {"wait": True, "reconnect_delay_s": 0.05, "reconnect_max_delay_s": 0.2}


# A killed server is noticed at once. A frozen one is told by its silence, which must be longer than
# the pauses of a busy machine.
@pytest.mark.parametrize(("fault", "read_timeout_s"), [("kill", 20), ("freeze", 5)])
def test_a_server_that_is_lost_is_found_again(
    tmp_path: Path, fault: str, read_timeout_s: float
) -> None:
    drawn = make_clip(tmp_path / "clip.mp4", frames=60, fps=30)
    with RtmpServer(tmp_path / "clip.mp4") as server:
        source = opened(server.url, read_timeout_s=read_timeout_s, **PATIENT)

        def start_again() -> None:
            server.kill()
            server.start()

        received = lose_and_find(source, getattr(server, fault), start_again, (40, 20))
    assert received[0].image.shape == drawn[0].shape


def test_sound_is_not_waited_for_as_long_as_ffmpeg_would() -> None:
    config = SourceConfig()
    spec = SourceSpec.parse("rtmp://camera/live/stream", config)
    assert int(network_options(spec, config)["analyzeduration"]) <= 1e6
