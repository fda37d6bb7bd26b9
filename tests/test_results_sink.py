"""The JSON lines that a run leaves, and when they are assembled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from streamer.errors import SinkError
from streamer.mask import CroppedMask
from streamer.output import EndOfStream, FrameResult, Gap, Instance, Output, StreamInfo
from streamer.results import write_results
from streamer.sinks.results_sink import ResultsSink, lines_path
from streamer.sinks.segments import Segments
from streamer.sinks.sink import SinkThread
from tests.frames import make_epoch, make_frame
from tests.json_lines import json_lines
from tests.processes import ROOT, killed_after_writing
from tests.sinks import filled, run_sink
from tests.waits import PATIENCE_S

INFO = StreamInfo("cam", ("", "person", "žába"), 36, 12, False, "the-run")
SEGMENT = CroppedMask((48, 64), 10, 20, np.ones((5, 8), dtype=bool))
PERSON = Instance(7, 1, "person", float(np.float32(0.9)), SEGMENT)
END = EndOfStream("end", 2, 0)


def result(index: int, *instances: Instance, epoch: int = 0) -> FrameResult:
    return FrameResult(make_frame(index, make_epoch(epoch)), instances)


def drain(
    path: Path,
    outputs: Iterable[Output],
    *,
    lines_only: bool = False,
    segments: Segments | None = None,
) -> None:
    """Run the sink over some outputs, on this thread."""
    run_sink(ResultsSink(str(path), lines_only=lines_only, segments=segments), outputs)


def lines(path: Path) -> list[dict[str, Any]]:
    """Those that lie beside a results file."""
    return json_lines(path.with_suffix(".jsonl"))


def test_each_frame_becomes_a_line_with_its_instances(tmp_path: Path) -> None:
    first = result(3, PERSON)
    taken = {"capture_unix_ns": 1_700_000_000_123_456_789, "capture_clock": "camera"}
    first = replace(first, frame=replace(first.frame, **taken))
    second = replace(result(4), interpolated=True, dropped=2)
    drain(tmp_path / "r.json", [INFO, first, second, END])
    video, one, two, end = lines(tmp_path / "r.json")
    assert video == {
        "type": "video",
        "schema": "vistr-results",
        "version": 1,
        "video_id": 1,
        "size": [48, 64],
        "stream": "cam",
        "run": "the-run",
        "categories": ["", "person", "žába"],
        "masks": True,
    }
    instance = one.pop("instances")[0]
    assert one == {
        "type": "frame",
        "video_id": 1,
        "frame": 3,
        "epoch": 0,
        "pts": 3,
        "time_base": [1, 10],
        "time_s": 0.3,
        **taken,
        "interpolated": False,
        "dropped": 0,
    }
    rle = instance.pop("segmentation")
    assert instance == {
        "track_id": 7,
        "category_id": 1,
        "category": "person",
        "score": 0.9,
        "bbox": [20, 10, 8, 5],
        "area": 40,
    }
    assert np.array_equal(coco_mask.decode(rle).astype(bool), SEGMENT.array())
    assert (two["interpolated"], two["dropped"], two["instances"]) == (True, 2, [])
    assert end == {"type": "end", "reason": "end", "frames": 2, "dropped": 0}


def test_without_masks_lines_and_results_hold_boxes(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    drain(path, [replace(INFO, masks=False), result(0), result(1, PERSON), result(2), END])
    video, _, one, *_ = lines(path)
    assert video["masks"] is False
    assert (one["instances"][0]["segmentation"], one["instances"][0]["bbox"]) == (
        None,
        [20, 10, 8, 5],
    )
    (entry,) = json.loads(path.read_text())
    assert entry["segmentations"] == [None, None, None]
    assert entry["bboxes"] == [None, [20, 10, 8, 5], None]


def test_a_frame_without_pts_is_written_as_null(tmp_path: Path) -> None:
    frame = replace(make_frame(0, make_epoch()), pts=None, time_base=Fraction(1, 90_000))
    drain(tmp_path / "r.json", [INFO, FrameResult(frame, ())])
    assert lines(tmp_path / "r.json")[1]["pts"] is None


def test_a_new_size_is_a_new_video_and_a_new_epoch_is_not(tmp_path: Path) -> None:
    large = make_epoch(2, (96, 128), "size")
    outputs = [
        INFO,
        result(0),
        Gap(replace(make_epoch(1, reason="reconnect"), missing=None)),
        result(1, epoch=1),
        Gap(large),
        FrameResult(make_frame(2, large), ()),
    ]
    drain(tmp_path / "r.json", outputs)
    found = [(line["type"], line.get("video_id")) for line in lines(tmp_path / "r.json")]
    assert found == [
        ("video", 1),
        ("frame", 1),
        ("gap", None),
        ("frame", 1),
        ("gap", None),
        ("video", 2),
        ("frame", 2),
    ]
    gap = lines(tmp_path / "r.json")[2]
    assert gap == {"type": "gap", "epoch": 1, "reason": "reconnect", "missing": None}


def test_a_new_shape_of_pixels_is_a_new_video(tmp_path: Path) -> None:
    oblong = replace(make_epoch(1, reason="size"), pixel_aspect=Fraction(4, 3))
    frames = [result(0), FrameResult(make_frame(1, oblong), ())]
    drain(tmp_path / "r.json", [INFO, *frames, FrameResult(make_frame(2, oblong), ())])
    found = [(line["type"], line["video_id"]) for line in lines(tmp_path / "r.json")]
    assert found == [("video", 1), ("frame", 1), ("video", 2), ("frame", 2), ("frame", 2)]


def test_an_earlier_run_s_results_behind_a_link_are_removed_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "r.json"
    target.write_text("of an earlier run")
    link = tmp_path / "r.json"
    link.symlink_to(target)
    sink = ResultsSink(str(link), lines_only=False)
    sink.drain(filled([INFO]))
    assert not target.exists()
    run_sink(sink, [END])
    assert link.is_symlink()
    assert json.loads(target.read_text()) == []


@pytest.mark.parametrize(
    "end", [[END], [EndOfStream("failed", 1, 0)], [EndOfStream("stopped", 1, 0)], []]
)
def test_files_are_assembled_whatever_ends_the_run(tmp_path: Path, end: list[Output]) -> None:
    drain(tmp_path / "r.json", [INFO, result(0, PERSON), *end])
    [entry] = json.loads((tmp_path / "r.json").read_text())
    assert (entry["track_id"], entry["video_id"], len(entry["segmentations"])) == (7, 1, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", "r.jsonl"]


def test_a_run_without_frames_leaves_an_end_and_an_empty_list(tmp_path: Path) -> None:
    drain(tmp_path / "r.json", [INFO, EndOfStream("failed", 0, 0)])
    assert [line["type"] for line in lines(tmp_path / "r.json")] == ["end"]
    assert json.loads((tmp_path / "r.json").read_text()) == []


def test_live_sources_write_the_lines_only(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("of another run")
    drain(tmp_path / "r.json", [INFO, result(0, PERSON), END], lines_only=True)
    assert len(lines(tmp_path / "r.json")) == 3
    assert not (tmp_path / "r.json").exists()  # an old one would pass for this run's


def test_lines_may_go_into_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.jsonl")
    with subprocess.Popen(["cat", tmp_path / "r.jsonl"], stdout=subprocess.PIPE) as reader:
        drain(tmp_path / "r.json", [INFO, result(0, PERSON), END], lines_only=True)
        out, _ = reader.communicate(timeout=PATIENCE_S)
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["video", "frame", "end"]


def test_the_lines_of_live_sources_go_on_in_a_file_per_segment(tmp_path: Path) -> None:
    frames = [result(index, PERSON) for index in (0, 1, 2, 7)]
    drain(tmp_path / "r.json", [INFO, *frames, END], lines_only=True, segments=Segments(0.2))
    parts = [lines(tmp_path / name) for name in ("r.json", "r.1.json", "r.2.json")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.1.jsonl", "r.2.jsonl", "r.jsonl"]
    kinds = [[line["type"] for line in part] for part in parts]
    assert kinds == [["video", "frame", "frame"], ["video", "frame"], ["video", "frame", "end"]]
    assert [line["frame"] for part in parts for line in part if "frame" in line] == [0, 1, 2, 7]
    assert [part[0]["video_id"] for part in parts] == [1, 2, 3]
    for name in ("r", "r.1", "r.2"):  # each by itself is whole
        write_results(str(tmp_path / f"{name}.jsonl"), str(tmp_path / f"{name}.json"))
        assert len(json.loads((tmp_path / f"{name}.json").read_text())) == 1


@pytest.mark.parametrize(("segments", "files"), [(Segments(3600), 2), (Segments(), 1)])
def test_segments_end_where_the_frame_size_changes(
    tmp_path: Path, segments: Segments, files: int
) -> None:
    resized = FrameResult(make_frame(1, make_epoch(1, (24, 32), "size")), ())
    outputs = [INFO, result(0, PERSON), resized, END]
    drain(tmp_path / "r.json", outputs, lines_only=True, segments=segments)
    parts = sorted(tmp_path.iterdir(), key=lambda path: len(path.name), reverse=True)
    assert [path.name for path in parts] == ["r.1.jsonl", "r.jsonl"][-files:]
    assert [line["size"] for line in lines(parts[0]) if line["type"] == "video"][-1] == [24, 32]


def test_a_full_file_of_lines_goes_on_in_another(tmp_path: Path) -> None:
    frames = [result(index, PERSON) for index in range(8)]
    drain(tmp_path / "r.json", [INFO, *frames, END], lines_only=True, segments=Segments(None, 1e-3))
    parts = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    sizes = [part.stat().st_size for part in parts]
    assert len(parts) > 2
    assert all(1000 <= size < 1500 for size in sizes[:-1])
    shown = [line["frame"] for part in parts for line in lines(part) if "frame" in line]
    assert shown == list(range(8))


def test_lines_that_a_file_is_made_of_stay_together(tmp_path: Path) -> None:
    outputs = [INFO, result(0, PERSON), result(5, PERSON), END]
    drain(tmp_path / "r.json", outputs, segments=Segments(0.1, 1e-6))
    assert len(lines(tmp_path / "r.json")) == 4


def test_results_of_an_earlier_run_do_not_pass_for_this_one(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("of an earlier run")
    (tmp_path / "r.jsonl").write_text("of an earlier run\n")
    sink = ResultsSink(str(tmp_path / "r.json"), lines_only=False)
    sink.drain(filled([INFO]))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("r.jsonl", "")]
    sink.close()


@pytest.mark.parametrize("outputs", [[], [EndOfStream("failed", 0, 0)]])
def test_a_run_that_does_not_begin_leaves_the_results_of_an_earlier_one(
    tmp_path: Path, outputs: list[Output]
) -> None:
    before = {"r.json": "[1]", "r.jsonl": "of an earlier run\n"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    sink = ResultsSink(str(tmp_path / "r.json"), lines_only=False)
    with pytest.raises(SinkError, match=r"r\.jsonl: another run writes it"):
        ResultsSink(str(tmp_path / "r.json"), lines_only=False)
    run_sink(sink, outputs)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    assert sink.written == []


def test_lines_that_were_moved_while_they_were_written_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [result(0, PERSON), result(1, PERSON)]
    sink = ResultsSink(str(tmp_path / "r.json"), lines_only=True, segments=Segments(0.1))
    sink.drain(filled([INFO, frames[0]]))
    (tmp_path / "r.jsonl").rename(tmp_path / "moved.jsonl")
    run_sink(sink, [frames[1], END])
    assert "r.jsonl: was removed or replaced while it was written" in caplog.text
    assert sink.written == [tmp_path / "r.1.jsonl"]


def test_each_line_is_on_disk_when_its_frame_is_done(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    thread = SinkThread("results", partial(ResultsSink, str(path), lines_only=False), capacity=1)
    thread.start()
    # With room for one output, putting the n-th returns when the one before it was taken, so all
    # before that one are done.
    for output in (INFO, result(0, PERSON), result(1, PERSON), result(2, PERSON)):
        thread.put(output)
    assert [line["type"] for line in lines(path)][:2] == ["video", "frame"]
    assert thread.finish(PATIENCE_S) is None
    assert len(json.loads(path.read_text())[0]["segmentations"]) == 3


def test_lines_lie_beside_the_results_file() -> None:
    assert lines_path("a/r.json") == "a/r.jsonl"
    assert lines_path("results") == "results.jsonl"
    with pytest.raises(SinkError, match=r"r\.jsonl: is where the JSON lines go"):
        lines_path("r.jsonl")
    with pytest.raises(SinkError, match="not go to standard output; name a file"):
        lines_path("-")


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"gone/r\.json: the folder .*gone does not exist"):
        ResultsSink(str(tmp_path / "gone" / "r.json"), lines_only=False)
    (tmp_path / "r.jsonl").mkdir()
    with pytest.raises(SinkError, match=r"r\.jsonl: Is a directory"):
        ResultsSink(str(tmp_path / "r.json"), lines_only=False)


def test_a_frame_before_the_info_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="info comes before"):
        drain(tmp_path / "r.json", [result(0)])


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").symlink_to("/dev/full")
    with pytest.raises(SinkError, match=r"r\.jsonl: No space left on device"):
        drain(tmp_path / "r.json", [INFO, result(0)])
    assert not (tmp_path / "r.json").exists()


WRITE_AND_WAIT = """
import sys
from streamer.sinks.results_sink import ResultsSink
from streamer.ring_buffer import RingBuffer
from tests.results import frame_result, stream_info

class Announcing(RingBuffer):
    def __iter__(self):
        yield from (stream_info(), frame_result(0), frame_result(1, masks={}), frame_result(2))
        print("written", flush=True)
        sys.stdin.read()

ResultsSink(sys.argv[1], lines_only=False).drain(Announcing(1))
"""


def test_after_a_kill_the_lines_can_be_assembled(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    killed_after_writing(WRITE_AND_WAIT, path)
    assert not path.exists()
    command = [sys.executable, "-m", "streamer.results", str(path.with_suffix(".jsonl")), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert (done.stdout, done.stderr) == (f"{path}: 1 track\n", "")
    [entry] = json.loads(path.read_text())
    assert [mask is not None for mask in entry["segmentations"]] == [True, False, True]
