"""`streamer.sinks.source_audio`: the sound of a file in the MP4s made of its frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from streamer.frame import Frame
from streamer.output import FrameResult
from streamer.sinks.mp4_sink import Mp4Sink
from streamer.sources.selection import Selection
from tests.clips import (
    beep_begins_s,
    frames_of,
    make_clip,
    make_slides,
    make_sounding_clip,
    truncate,
)
from tests.descriptors import open_descriptors
from tests.processes import killed_after_writing
from tests.results import epoch, frame_result
from tests.sinks import filled, sounding_sink
from tests.sources import read

CLOSE_S = 0.03  # a frame of AAC lasts 21 ms


def carry_over(
    source: Path,
    target: Path,
    selection: Selection | None = None,
    change: Callable[[int, FrameResult], FrameResult] = lambda _, result: result,
    sound: Path | None = None,
) -> Mp4Sink:
    """Write a file's frames, and its sound (or that of another one), into an MP4 to be closed."""
    frames = read(source, selection)
    results = [change(index, FrameResult(frame, ())) for index, frame in enumerate(frames)]
    sink = sounding_sink(sound or source, target)
    sink.drain(filled(results))
    return sink


def streams(path: Path) -> dict[str, tuple[str, float]]:
    """Codec and seconds by the type of stream."""
    with av.open(str(path)) as container:
        return {
            stream.type: (stream.codec_context.codec.canonical_name, float(end))
            for stream in container.streams
            if (end := stream.duration * stream.time_base)
        }


@pytest.mark.parametrize(
    ("name", "codec", "kept_as"),
    [
        ("a.mp4", "aac", "aac"),
        ("a.mp4", "libmp3lame", "mp3"),
        ("a.mkv", "libopus", "opus"),
        ("a.mkv", "pcm_s16le", "aac"),
        ("a.mkv", "ac3", "aac"),
        ("a.ts", "aac", "aac"),
        ("a.mov", "pcm_s16le", "aac"),
    ],
)
def test_the_sound_is_kept_and_in_time(tmp_path: Path, name: str, codec: str, kept_as: str) -> None:
    make_sounding_clip(tmp_path / name, codec=codec)
    carry_over(tmp_path / name, tmp_path / "out.mp4").close()
    kept = streams(tmp_path / "out.mp4")
    assert kept["audio"] == (kept_as, pytest.approx(4, abs=2 * CLOSE_S))
    assert kept["video"] == ("h264", pytest.approx(4, abs=1e-3))
    assert beep_begins_s(tmp_path / "out.mp4") == pytest.approx(2, abs=CLOSE_S)


def test_of_several_tracks_the_one_that_players_choose_is_kept(tmp_path: Path) -> None:
    first, second, both = (tmp_path / name for name in ("a.mkv", "b.mkv", "both.mkv"))
    make_sounding_clip(first, beep_s=1)
    make_sounding_clip(second, beep_s=3)
    with av.open(str(first)) as one, av.open(str(second)) as two, av.open(str(both), "w") as out:
        taken = [one.streams.video[0], one.streams.audio[0], two.streams.audio[0]]
        made = [out.add_stream_from_template(stream) for stream in taken]
        made[1].disposition, made[2].disposition = Disposition(0), Disposition.default
        for stream, target in zip(taken, made, strict=True):
            for packet in stream.container.demux(stream):
                if packet.dts is not None:
                    packet.stream = target
                    out.mux(packet)
            stream.container.seek(0)
    carry_over(both, tmp_path / "out.mp4").close()
    assert beep_begins_s(tmp_path / "out.mp4") == pytest.approx(3, abs=CLOSE_S)


def test_a_selection_has_its_part_of_the_sound(tmp_path: Path) -> None:
    make_sounding_clip(tmp_path / "a.mp4")
    carry_over(
        tmp_path / "a.mp4", tmp_path / "out.mp4", Selection(start_s=1.52, duration_s=1.2)
    ).close()
    assert streams(tmp_path / "out.mp4")["audio"][1] == pytest.approx(1.2, abs=CLOSE_S)
    assert beep_begins_s(tmp_path / "out.mp4") == pytest.approx(0.48, abs=CLOSE_S)


def test_the_second_file_after_a_change_of_size_has_its_own_part(tmp_path: Path) -> None:
    make_sounding_clip(tmp_path / "a.mp4")
    small = epoch((24, 32), index=1, reason="size")

    def shrink(index: int, result: FrameResult) -> FrameResult:
        if index < 25:
            return result
        other = frame_result(index, masks={}, within=small, fps=25)
        return FrameResult(other.frame, ())

    carry_over(tmp_path / "a.mp4", tmp_path / "out.mp4", change=shrink).close()
    assert streams(tmp_path / "out.mp4")["audio"][1] == pytest.approx(1, abs=CLOSE_S)
    assert streams(tmp_path / "out.1.mp4")["audio"][1] == pytest.approx(3, abs=CLOSE_S)
    assert beep_begins_s(tmp_path / "out.1.mp4") == pytest.approx(1, abs=CLOSE_S)


def test_sound_goes_on_while_the_last_picture_is_shown(tmp_path: Path) -> None:
    make_slides(tmp_path / "a.mp4", [1, 5], audio_s=6)
    carry_over(tmp_path / "a.mp4", tmp_path / "out.mp4").close()
    kept = streams(tmp_path / "out.mp4")
    assert kept["video"][1] == 6
    assert kept["audio"][1] == pytest.approx(6, abs=2 * 0.064)


def test_sound_may_end_before_the_video(tmp_path: Path) -> None:
    make_sounding_clip(tmp_path / "a.mp4", sound_s=2.6)
    carry_over(tmp_path / "a.mp4", tmp_path / "out.mp4").close()
    kept = streams(tmp_path / "out.mp4")
    assert kept["video"][1] == 4
    assert kept["audio"][1] == pytest.approx(2.6, abs=CLOSE_S)


def test_a_file_without_sound_gives_one_without(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", frames=10)
    carry_over(tmp_path / "a.mp4", tmp_path / "out.mp4").close()
    assert list(streams(tmp_path / "out.mp4")) == ["video"]


def test_sound_that_breaks_off_leaves_the_video_whole(tmp_path: Path) -> None:
    make_sounding_clip(tmp_path / "a.mkv", codec="pcm_s16le")
    make_sounding_clip(tmp_path / "b.mkv", codec="pcm_s16le")
    truncate(tmp_path / "b.mkv", 0.5)
    carry_over(tmp_path / "a.mkv", tmp_path / "out.mp4", sound=tmp_path / "b.mkv").close()
    kept = streams(tmp_path / "out.mp4")
    assert kept["video"][1] == 4
    assert 1 < kept["audio"][1] < 3


def test_damaged_sound_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_sounding_clip(tmp_path / "a.mkv", codec="flac")
    data = bytearray((tmp_path / "a.mkv").read_bytes())
    # Frames of FLAC begin with these 15 bits; those of the silence at the start are short.
    place = data.index(b"\xff\xf8", data.index(b"\xff\xf8") + 2)
    data[place + 4 : place + 12] = b"\x55" * 8
    (tmp_path / "a.mkv").write_bytes(bytes(data))
    carry_over(tmp_path / "a.mkv", tmp_path / "out.mp4").close()
    assert "1 packets of sound left out" in caplog.text
    kept = streams(tmp_path / "out.mp4")
    assert kept["video"][1] == 4
    assert kept["audio"][1] == pytest.approx(4, abs=0.2)
    assert beep_begins_s(tmp_path / "out.mp4") == pytest.approx(2, abs=CLOSE_S)


def test_damage_to_sound_of_a_transport_stream_is_passed_over(tmp_path: Path) -> None:
    """Copied, it would be parsed while it is written."""
    make_sounding_clip(tmp_path / "a.ts")
    data = bytearray((tmp_path / "a.ts").read_bytes())
    headers = [at for at in range(len(data) // 3, len(data)) if data[at : at + 2] == b"\xff\xf1"]
    data[headers[0] : headers[0] + 2] = b"\xaa\xaa"
    (tmp_path / "a.ts").write_bytes(data)
    carry_over(tmp_path / "a.ts", tmp_path / "out.mp4").close()
    kept = streams(tmp_path / "out.mp4")
    assert kept["video"] == ("h264", pytest.approx(4, abs=1e-3))
    assert kept["audio"][1] > 3.5


def make_joined_clips(path: Path) -> None:
    """A clip with sound that is there twice, each time from timestamp 0 on."""
    make_sounding_clip(path)
    once = path.read_bytes()
    path.write_bytes(once + once)


def shrunk(frame: Frame) -> Frame:
    """The frame where the size has changed, which begins another file."""
    small = epoch((24, 32), index=1, reason="size")
    return replace(frame, epoch=small, pixels=np.zeros((24, 32, 3), np.uint8))


def test_sound_whose_time_starts_over_does_not_end_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_joined_clips(tmp_path / "a.ts")
    carry_over(tmp_path / "a.ts", tmp_path / "out.mp4").close()
    assert len(frames_of(tmp_path / "out.mp4")) == 200
    assert "packets of sound left out; there is sound up to 4.0 s" in caplog.text
    assert beep_begins_s(tmp_path / "out.mp4") == pytest.approx(2, abs=2 * CLOSE_S)


@pytest.mark.parametrize("odd", [{60: 59}, {30: 10_000}])
def test_a_timestamp_that_is_odd_costs_the_next_file_no_sound(
    tmp_path: Path, odd: dict[int, int]
) -> None:
    make_sounding_clip(tmp_path / "a.mkv")
    stamps: list[int] = []

    def change(index: int, result: FrameResult) -> FrameResult:
        frame = result.frame
        assert frame.pts is not None
        stamps.append(frame.pts)
        if index in odd:
            step = stamps[1] - stamps[0]
            frame = replace(frame, pts=stamps[0] + odd[index] * step)
        return FrameResult(frame if index < 60 else shrunk(frame), ())

    carry_over(tmp_path / "a.mkv", tmp_path / "out.mp4", change=change).close()
    assert list(streams(tmp_path / "out.1.mp4")) == ["video", "audio"]


def test_a_file_that_begins_where_time_starts_over_is_without_sound(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_joined_clips(tmp_path / "a.ts")

    def shrink(index: int, result: FrameResult) -> FrameResult:
        return result if index < 100 else FrameResult(shrunk(result.frame), ())

    carry_over(tmp_path / "a.ts", tmp_path / "out.mp4", change=shrink).close()
    assert list(streams(tmp_path / "out.mp4")) == ["video", "audio"]
    assert list(streams(tmp_path / "out.1.mp4")) == ["video"]
    assert "out.1.mp4: without sound: its timestamps begin anew" in caplog.text


def test_sound_that_cannot_be_opened_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_sounding_clip(tmp_path / "a.mp4")
    carry_over(tmp_path / "a.mp4", tmp_path / "out.mp4", sound=tmp_path / "gone.mp4").close()
    assert "without sound" in caplog.text
    assert list(streams(tmp_path / "out.mp4")) == ["video"]


def test_the_file_that_the_sound_is_of_is_closed_with_the_video(tmp_path: Path) -> None:
    make_sounding_clip(tmp_path / "a.mp4")
    before = open_descriptors()
    sink = carry_over(tmp_path / "a.mp4", tmp_path / "out.mp4")
    assert open_descriptors() > before
    sink.close()
    assert open_descriptors() == before


def test_sound_that_begins_late_has_silence_before(tmp_path: Path) -> None:
    make_sounding_clip(tmp_path / "a.mkv", beep_s=3.0, sound_from_s=2.0)
    carry_over(tmp_path / "a.mkv", tmp_path / "out.mp4").close()
    kept = streams(tmp_path / "out.mp4")
    assert kept["audio"] == ("aac", pytest.approx(4, abs=2 * CLOSE_S))
    assert beep_begins_s(tmp_path / "out.mp4") == pytest.approx(3, abs=CLOSE_S)


def test_a_track_without_sound_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_sounding_clip(tmp_path / "a.mkv", sound_s=0.0)
    carry_over(tmp_path / "a.mkv", tmp_path / "out.mp4").close()
    assert "a track of sound without any" in caplog.text
    assert streams(tmp_path / "out.mp4") == {"video": ("h264", 4)}


KILLED = """
import sys
from pathlib import Path
from tests.results import epoch, frame_result
from tests.sinks import filled, sounding_sink
sink, within = sounding_sink(Path(sys.argv[1]), Path(sys.argv[2])), epoch((48, 64))
sink.drain(filled([frame_result(index, within=within, fps=25) for index in range(100)]))
print("written", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("sound_s", "from_s"),
    [(4.0, 0.0), (1.0, 0.0), pytest.param(4.0, 3.4, marks=pytest.mark.slow)],
)
def test_a_kill_costs_a_second_at_most_with_sound_too(
    tmp_path: Path, sound_s: float, from_s: float
) -> None:
    beep_s = max(0.5, from_s)
    make_sounding_clip(tmp_path / "a.mkv", sound_s=sound_s, beep_s=beep_s, sound_from_s=from_s)
    killed_after_writing(KILLED, tmp_path / "a.mkv", tmp_path / "out.mp4")
    assert len(frames_of(tmp_path / "out.mp4")) >= 75
    if beep_s < 1:
        assert beep_begins_s(tmp_path / "out.mp4") == pytest.approx(beep_s, abs=CLOSE_S)
