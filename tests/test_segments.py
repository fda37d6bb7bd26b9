"""Where the outputs of a run go on in other files: MP4s and JSON lines at the same frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.config import StreamConfig
from streamer.output import EndOfStream, FrameResult, Output, StreamInfo
from streamer.sink_assembly import file_sinks
from streamer.sink_config import Mp4Config
from streamer.sinks.segments import Segments
from tests.clips import frames_of
from tests.frames import make_epoch, make_frame
from tests.json_lines import json_lines

INFO = StreamInfo("cam", ("", "person"), 36, 12, True, "run")


def numbers(segments: Segments, indices: range) -> list[int]:
    return [segments.number(make_frame(index, make_epoch(0))) for index in indices]


def test_whoever_is_behind_follows_whoever_was_first() -> None:
    segments = Segments(None, 1)
    assert numbers(segments, range(5)) == [0] * 5
    segments.report(0, 1_000_000)  # by the one that is behind, at its first frame
    assert numbers(segments, range(5)) == [0] * 5
    assert numbers(segments, range(3, 8)) == [0, 0, 1, 1, 1]
    assert numbers(segments, range(8)) == [0] * 5 + [1] * 3


@pytest.mark.parametrize("first", [0, 5])  # the latter behind the files of an earlier run
def test_a_full_file_ends_once(first: int) -> None:
    segments, second = Segments(None, 1, first), first + 1
    assert numbers(segments, range(2)) == [first, first]
    segments.report(first, 999_999)
    assert numbers(segments, range(2, 3)) == [first]
    segments.report(first, 1_000_000)
    segments.report(first, 1_000_001)
    assert numbers(segments, range(3, 5)) == [second, second]
    segments.report(first, 1_000_002)  # who is still at the full one
    assert numbers(segments, range(5, 7)) == [second, second]
    segments.report(second, 1_000_000)
    assert numbers(segments, range(7, 8)) == [second + 1]


@pytest.mark.parametrize("limit", [{"segment_mb": 0.05}, {"segment_s": 1.5}, {}])
def test_files_with_the_same_number_hold_the_same_frames(
    tmp_path: Path, limit: dict[str, float]
) -> None:
    config = StreamConfig(
        output=[str(tmp_path / "a.mp4"), f"binary={tmp_path / 'b.mp4'}"],
        results=[str(tmp_path / "r.json")],
        mp4=Mp4Config(style="frame", keyframe_s=0.3, **limit),
    )
    outputs: list[Output] = [INFO]
    for index in range(90):  # of noise: only the first MP4 grows by it
        size = (96, 128) if index < 60 else (64, 96)
        frame = make_frame(index, make_epoch(int(index >= 60), size, "size"))
        outputs.append(FrameResult(frame, ()))
    sinks = file_sinks(config, endless=True)
    for sink in sinks:
        sink.start()
    for output in [*outputs, EndOfStream("end", 90, 0)]:
        for sink in sinks:
            sink.put(output)
    assert [sink.finish(60) for sink in sinks] == [None] * 3
    counts = {kind: counted(tmp_path, kind) for kind in ("a.mp4", "b.mp4", "r.jsonl")}
    if limit:
        assert len(counts["a.mp4"]) > 2  # one of them for the new size
        assert counts["a.mp4"] == counts["b.mp4"] == counts["r.jsonl"]
    else:  # only what an MP4 cannot do otherwise
        assert counts["a.mp4"] == counts["b.mp4"] == {0: 60, 1: 30}
        assert counts["r.jsonl"] == {0: 90}


def counted(folder: Path, kind: str) -> dict[int, int]:
    """Frames in each of the files of an output, by the files' numbers."""
    stem, suffix = kind.split(".")
    counts = {}
    for path in folder.glob(f"{stem}*.{suffix}"):
        middle = path.name.split(".")[1]
        number = 0 if middle == suffix else int(middle)
        if suffix == "mp4":
            counts[number] = len(frames_of(path))
        else:
            counts[number] = len(json_lines(path, "frame"))
    return counts
