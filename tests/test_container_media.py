from __future__ import annotations

import dataclasses
import errno
import os
from fractions import Fraction
from pathlib import Path
from typing import NoReturn
from unittest.mock import Mock

import av
import numpy as np
import pytest
from av.stream import Disposition

from streamer.errors import SourceError, UnforeseenError
from streamer.source_config import SourceConfig
from streamer.sources.container_media import MAX_FAILURES, ContainerMedia
from streamer.sources.container_opening import choose_video
from streamer.sources.pace import Pace
from tests.clips import Image, corrupt, draw, make_clip, truncate
from tests.sources import decode, media_of

FASTSTART = {"movflags": "faststart"}

TS_PACKET = 188


@pytest.fixture(scope="module")
def noisy() -> list[Image]:
    """Frames that fill the file evenly, so that damage hits packets and not headers."""
    rng = np.random.default_rng(1)
    return [
        np.clip(draw(i, (96, 128)) + rng.integers(-20, 20, (96, 128, 3)), 0, 255).astype(np.uint8)
        for i in range(60)
    ]


@pytest.mark.parametrize(("later_s", "start", "count"), [(10, 0, 80), (99, 0, 80), (100, 1, 55)])
def test_timestamps_that_begin_anew_lose_no_picture(
    tmp_path: Path, later_s: int, start: int, count: int
) -> None:
    """As of joined recordings; only what comes before the start that was asked for is left out."""
    parts = []
    for begin_s in (100, later_s):
        path = tmp_path / f"{begin_s}.ts"
        make_clip(path, frames=40, fps=25, pts=[25 * begin_s + i for i in range(40)],
                  time_base=Fraction(1, 25), container_options={"muxdelay": "0"})  # fmt: skip
        parts.append(path.read_bytes())
    (tmp_path / "a.ts").write_bytes(b"".join(parts))
    media = media_of(tmp_path / "a.ts")
    assert sum(1 for _ in media.pictures(Fraction(start))) == count
    media.close()


def test_the_largest_of_several_videos_is_read(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "two.mp4"), "w") as out:
        for side in (32, 96, 64):
            stream = out.add_stream("mpeg4", rate=10)
            stream.width = stream.height = side
            stream.pix_fmt = "yuv420p"
        for stream in out.streams.video:
            image = np.zeros((stream.height, stream.width, 3), np.uint8)
            out.mux([*stream.encode(av.VideoFrame.from_ndarray(image)), *stream.encode(None)])
    media = media_of(tmp_path / "two.mp4")
    assert [picture.frame.width for picture in media.pictures(Fraction(0))] == [96]
    media.close()


@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg4", "libx264"])
def test_live_pictures_come_in_the_order_in_which_they_are_shown(
    tmp_path: Path, codec: str
) -> None:
    make_clip(tmp_path / "a.ts", frames=30, fps=25, codec=codec, codec_options={"bf": "2"})
    with av.open(str(tmp_path / "a.ts")) as container:
        stream = choose_video(container, "a.ts", live=True)
        shown = [frame.pts for frame in container.decode(stream) if frame.pts is not None]
    assert len(shown) == 30
    assert shown == sorted(shown)


def test_a_last_picture_that_is_shown_for_long_is_no_break(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        image = np.zeros((64, 64, 3), np.uint8)
        packets = [
            packet
            for frame in (*(av.VideoFrame.from_ndarray(image) for _ in range(5)), None)
            for packet in stream.encode(frame)
        ]
        packets[-1].duration = round(6 / packets[-1].time_base)
        out.mux(packets)
    count, _, error = decode(tmp_path / "a.mkv")
    assert (count, error) == (5, "")


def read_begin(path: Path, count: int) -> ContainerMedia:
    """The medium after so many pictures, closed."""
    media = media_of(path)
    pictures = media.pictures(Fraction(0))
    for _ in range(count):
        next(pictures)
    media.interrupt()
    pictures.close()
    media.close()
    return media


@pytest.mark.parametrize("is_live", [True, False])
def test_a_live_playlist_s_pictures_are_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_live: bool
) -> None:
    make_clip(tmp_path / "a.m3u8", frames=10, format="hls")
    playlist = tmp_path / "a.m3u8"
    if is_live:
        playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST", ""))
    waits: list[float] = []
    monkeypatch.setattr(Pace, "wait", lambda _, position_s: waits.append(position_s) or 0.0)
    assert read_begin(playlist, 5).live == is_live
    assert waits == (pytest.approx([0, 0.1, 0.2, 0.3, 0.4]) if is_live else [])


def test_segments_that_expired_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_clip(tmp_path / "a.m3u8", frames=60, gop=10, format="hls",
              container_options={"hls_time": "1"}, codec_options={"sc_threshold": "0"})  # fmt: skip
    playlist = tmp_path / "a.m3u8"
    head, *segments = playlist.read_text().split("#EXT-X-ENDLIST")[0].split("#EXTINF")
    playlist.write_text(head + "".join(f"#EXTINF{each}" for each in [*segments[:2], segments[4]]))
    read_begin(playlist, 25)
    assert [record.getMessage() for record in caplog.records] == [
        f"{playlist}: 2.1 s from one picture to the next; segments that expired before they were "
        "read, or a pause"
    ]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".flv"])
def test_a_truncated_file_gives_its_frames_then_an_error(
    tmp_path: Path, noisy: list[Image], suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    options = FASTSTART if suffix == ".mp4" else {}
    make_clip(path, frames=noisy, container_options=options)
    truncate(path, 0.9 if suffix == ".avi" else 0.5)
    count, media, error = decode(path)
    assert "the video breaks off" in error
    assert 1 <= count < 60
    assert media.frames is not None
    assert media.frames >= 60
    if suffix != ".avi":
        assert count == 30


@pytest.mark.parametrize("kept", [0.9, 0.6])
def test_reordered_frames_do_not_hide_a_missing_end(
    tmp_path: Path, noisy: list[Image], kept: float
) -> None:
    # Timestamps leap ahead and come back with B-frames: no pause, and so no excuse.
    path = tmp_path / "a.mkv"
    make_clip(path, frames=noisy, codec_options={"bf": "3", "b_strategy": "0", "sc_threshold": "0"})
    truncate(path, kept)
    count, _, error = decode(path)
    assert count < 60
    assert "the video breaks off" in error


def test_a_truncated_transport_stream_promised_nothing(tmp_path: Path, noisy: list[Image]) -> None:
    make_clip(tmp_path / "a.ts", frames=noisy)
    truncate(tmp_path / "a.ts", 0.5)
    count, _, error = decode(tmp_path / "a.ts")
    assert (count, error) == (30, "")


def test_a_seek_knows_what_is_left(tmp_path: Path, noisy: list[Image]) -> None:
    path = tmp_path / "a.mp4"
    make_clip(path, frames=noisy, container_options=FASTSTART)
    media = media_of(path)
    assert len(list(media.pictures(Fraction(4)))) == 20
    truncate(path, 0.8)
    assert media.frames == 60
    with pytest.raises(SourceError, match="breaks off"):
        list(media.pictures(Fraction(4)))
    media.close()


def test_isolated_damage_is_counted_and_passed(tmp_path: Path, noisy: list[Image]) -> None:
    path = tmp_path / "a.mp4"
    make_clip(path, frames=noisy, container_options=FASTSTART)
    corrupt(path, 0.5, path.stat().st_size // 5)
    count, media, error = decode(path)
    assert error == ""
    assert 0 < media.counts.corrupt < MAX_FAILURES
    assert 30 <= count < 60


def test_no_memory_for_the_decoder_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Starved:
        codec_context = Mock()

        def decode(self, _: object) -> NoReturn:
            raise av.error.MemoryError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    make_clip(tmp_path / "a.mp4")
    media = media_of(tmp_path / "a.mp4")
    pictures = media.pictures(Fraction(0))
    next(pictures)
    monkeypatch.setattr(media, "_video", dataclasses.replace(media._video, stream=Starved()))
    with pytest.raises(UnforeseenError, match=rf"a\.mp4: {os.strerror(errno.ENOMEM)}$"):
        next(pictures)
    assert media.counts.corrupt == 0
    media.close()


def test_damage_that_the_decoder_conceals_is_counted_of_what_is_live(
    tmp_path: Path, http_url: str, noisy: list[Image]
) -> None:
    path = tmp_path / "a.ts"
    make_clip(path, frames=noisy)
    data = path.read_bytes()
    lost = [len(data) * n // 10 // TS_PACKET * TS_PACKET for n in range(2, 9)]
    for at in reversed(lost):
        data = data[:at] + data[at + TS_PACKET :]
    path.write_bytes(data)
    count, media, error = decode(f"{http_url}/a.ts", SourceConfig(live=True))
    assert error == ""
    assert count > 50
    assert 3 < media.counts.corrupt <= len(lost)


def test_where_recordings_are_joined_nothing_is_damaged(tmp_path: Path) -> None:
    make_clip(tmp_path / "one.ts", frames=20)
    (tmp_path / "a.ts").write_bytes(3 * (tmp_path / "one.ts").read_bytes())
    count, media, _ = decode(tmp_path / "a.ts")
    assert (count, media.counts.corrupt) == (60, 0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.flv", "a.ts"])
def test_nothing_is_counted_of_an_intact_file(
    tmp_path: Path, noisy: list[Image], name: str
) -> None:
    make_clip(tmp_path / name, frames=noisy, audio_s=6)
    assert decode(tmp_path / name)[1].counts.corrupt == 0


def test_a_playlist_s_joints_are_no_damage(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.ts", frames=20)
    part = "#EXTINF:2,\na.ts\n"
    (tmp_path / "a.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{part}#EXT-X-DISCONTINUITY\n{part}#EXT-X-ENDLIST\n"
    )
    count, media, _ = decode(tmp_path / "a.m3u8")
    assert (count, media.counts.corrupt) == (40, 0)


def test_damage_to_the_end_is_an_error(tmp_path: Path, noisy: list[Image]) -> None:
    path = tmp_path / "a.mp4"
    make_clip(path, frames=noisy, container_options=FASTSTART)
    corrupt(path, 0.6, path.stat().st_size)
    count, media, error = decode(path)
    assert "the end of the video cannot be decoded" in error
    assert 30 <= count < 60
    assert media.counts.corrupt > 10


def test_too_many_failures_in_a_row_end_it(tmp_path: Path, noisy: list[Image]) -> None:
    path = tmp_path / "a.mp4"
    make_clip(path, frames=noisy, container_options=FASTSTART)
    corrupt(path, 0.3, path.stat().st_size)
    _, media, error = decode(path)
    assert f"{MAX_FAILURES} packets in a row cannot be decoded" in error
    assert media.counts.corrupt == MAX_FAILURES


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.avi"])
def test_longer_sound_than_picture_is_no_alarm(tmp_path: Path, name: str) -> None:
    make_clip(tmp_path / name, frames=10, audio_s=3)
    assert decode(tmp_path / name)[::2] == (10, "")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_rate_is_no_alarm(tmp_path: Path, name: str) -> None:
    make_clip(tmp_path / name, frames=6, pts=[0, 40, 80, 3000, 3040, 6000])
    assert decode(tmp_path / name)[::2] == (6, "")


def test_b_frames_are_no_alarm(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", frames=25, codec_options={"bf": "3", "b_strategy": "0"})
    assert decode(tmp_path / "a.mp4")[::2] == (25, "")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "s.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(SourceError, match="no video stream; it holds: audio"):
        media_of(tmp_path / "s.wav")


def test_a_song_s_cover_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as out:
        sound = out.add_stream("aac", rate=16000, layout="mono")
        cover = out.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame.from_ndarray(draw(0, (48, 64)), "rgb24")))
        heard = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        heard.sample_rate = 16000
        out.mux(sound.encode(heard))
        out.mux(sound.encode(None))
    with pytest.raises(SourceError, match=r"no video stream; it holds: audio, cover picture$"):
        media_of(tmp_path / "song.m4a")


def test_a_title_in_another_encoding_is_no_reason_to_refuse_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    make_clip(path)
    with av.open(str(path)) as plain, av.open(str(tmp_path / "titled.avi"), "w") as titled:
        titled.metadata["title"] = "Xyz"
        copy = titled.add_stream_from_template(plain.streams.video[0])
        for packet in plain.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                titled.mux(packet)
    content = (tmp_path / "titled.avi").read_bytes()
    assert content.count(b"Xyz") == 1
    path.write_bytes(content.replace(b"Xyz", b"\xe9t\xe9"))  # as a Latin-1 program writes it
    assert decode(path)[::2] == (12, "")


def test_a_video_that_nothing_decodes_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    make_clip(path)
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"QQQQ"))
    with pytest.raises(SourceError, match=r"a\.avi: FFmpeg knows no decoder for its video"):
        media_of(path)


@pytest.mark.parametrize(
    ("name", "start_s", "is_told"),
    [("a.mkv", 0, True), ("a.flv", 0, True), ("a.mkv", 4, False)],
)
def test_what_a_file_lost_in_its_middle_is_told(
    tmp_path: Path,
    noisy: list[Image],
    caplog: pytest.LogCaptureFixture,
    name: str,
    start_s: int,
    is_told: bool,
) -> None:
    path = tmp_path / name
    make_clip(path, frames=noisy, fps=10)
    media = media_of(path)
    assert len(list(media.pictures(Fraction(0)))) == 60
    media.close()
    assert "never came" not in caplog.text
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    media = media_of(path)
    list(media.pictures(Fraction(start_s)))
    media.close()
    assert ("frames never came: it is damaged" in caplog.text) == is_told


@pytest.mark.parametrize(("transfer", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, transfer: str, name: str
) -> None:
    make_clip(tmp_path / "sdr.mp4")
    media_of(tmp_path / "sdr.mp4").close()
    assert caplog.text == ""
    make_clip(tmp_path / "a.mp4", codec_options={"x264-params": f"transfer={transfer}"})
    media_of(tmp_path / "a.mp4").close()
    assert f"a.mp4: HDR ({name}) is taken for SDR" in caplog.text
