"""`streamer.sources.container_extent`: what is missing is told, and only that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clips import make_clip
from tests.sources import decode

HLS = {"hls_time": "1", "hls_list_size": "0"}


@pytest.mark.parametrize(("frames", "audio_s"), [(10, 0), (25, 0), (10, 1)])
def test_b_frames_of_a_short_flv_are_no_loss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, frames: int, audio_s: int
) -> None:
    options = {"bf": "3", "b_strategy": "0", "sc_threshold": "0"}
    make_clip(tmp_path / "a.flv", frames=frames, fps=25, codec_options=options, audio_s=audio_s)
    assert decode(tmp_path / "a.flv")[::2] == (frames, "")
    assert "never came" not in caplog.text


@pytest.mark.parametrize("audio_s", [0, 20])
@pytest.mark.parametrize("lost", [[3, 4], [12, 13, 14, 15, 16, 17, 18, 19]])
def test_missing_segments_of_a_finished_playlist_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: list[int], audio_s: int
) -> None:
    path = tmp_path / "a.m3u8"
    make_clip(path, frames=200, gop=10, audio_s=audio_s, format="hls", container_options=HLS,
              codec_options={"sc_threshold": "0"})  # fmt: skip
    count, media, error = decode(path)
    assert (count, media.frames, error, "never came" in caplog.text) == (200, 200, "", False)
    for index in lost[:-1]:
        (tmp_path / f"a{index}.ts").unlink()
    (tmp_path / f"a{lost[-1]}.ts").write_text("<html>404</html>" * 50)
    count, _, error = decode(path)
    assert count < 200
    assert not error  # an end that is missing, too: the playlist's durations are rounded
    assert "frames never came: it is damaged" in caplog.text


@pytest.mark.parametrize("audio_s", [0, 20, 21])
def test_rounded_durations_and_new_timestamps_in_a_playlist_are_no_alarm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, audio_s: int
) -> None:
    path = tmp_path / "a.m3u8"
    make_clip(path, frames=200, gop=10, audio_s=audio_s, format="hls", container_options=HLS,
              codec_options={"sc_threshold": "0"})  # fmt: skip
    head, *segments = path.read_text().replace("EXTINF:1.000000", "EXTINF:1.04").split("#EXTINF")
    last, end = segments.pop().split("#EXT-X-ENDLIST")
    again = "#EXT-X-DISCONTINUITY\n" + "".join(f"#EXTINF{each}" for each in [*segments, last])
    path.write_text(head + again + again + "#EXT-X-ENDLIST" + end)
    count, _, error = decode(path)
    assert (count, error, caplog.text) == (400, "", "")
