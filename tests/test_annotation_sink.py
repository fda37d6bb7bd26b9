"""`streamer.sinks.annotation_sink`: the list of frames that data-set tools take."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from streamer.errors import SinkError
from streamer.output import EndOfStream, Output
from streamer.sinks.annotation_sink import AnnotationSink
from tests.results import epoch, frame_result, stream_info
from tests.sinks import filled, run_sink


def run(path: Path, outputs: list[Output], image_format: str = "jpg") -> dict[str, object]:
    sink = AnnotationSink(str(path), image_format)  # type: ignore[arg-type]
    sink.drain(filled([stream_info()]))
    assert not path.exists(), "nothing stands under the name before it is whole"
    run_sink(sink, outputs)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    content: dict[str, object] = json.loads(path.read_text())
    return content


def test_a_clip_is_one_video_of_any_length(tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text("of an earlier run")
    written = run(tmp_path / "input.json", [frame_result(n, (12, 16)) for n in range(50)])
    names = [f"{n}.jpg" for n in range(50)]
    entry = {"id": 1, "width": 16, "height": 12, "file_names": names, "length": 50}
    assert written == {"videos": [entry]}


def test_a_new_size_is_a_new_video_and_names_go_on(tmp_path: Path) -> None:
    wide = epoch((12, 20), index=1, reason="size")
    results = [frame_result(0), frame_result(2, dropped=1), frame_result(3, within=wide, masks={})]
    written = run(tmp_path / "a.json", list(results), "png")
    assert written == {
        "videos": [
            {"id": 1, "width": 16, "height": 12, "file_names": ["0.png", "2.png"], "length": 2},
            {"id": 2, "width": 20, "height": 12, "file_names": ["3.png"], "length": 1},
        ]
    }


def test_a_run_without_frames_lists_none(tmp_path: Path) -> None:
    assert run(tmp_path / "a.json", []) == {"videos": []}


@pytest.mark.parametrize("outputs", [[], [EndOfStream("failed", 0, 0)]])
def test_a_run_that_does_not_begin_leaves_the_file_of_an_earlier_one(
    tmp_path: Path, outputs: list[Output]
) -> None:
    (tmp_path / "a.json").write_text("of an earlier run")
    sink = AnnotationSink(str(tmp_path / "a.json"), "jpg")
    run_sink(sink, outputs)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of an earlier run"]
    assert sink.written == []


@pytest.mark.parametrize(
    ("error", "raised", "match"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), SinkError, r"a\.json: No space left"),
        (MemoryError("no room"), MemoryError, "no room"),
    ],
)
def test_after_a_part_was_lost_no_file_appears(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    raised: type[Exception],
    match: str,
) -> None:
    sink = AnnotationSink(str(tmp_path / "a.json"), "jpg")
    outputs = filled([stream_info(), frame_result(0), frame_result(1)])
    write = sink._file.write

    def full(text: str) -> int:
        monkeypatch.setattr(sink._file, "write", write)  # others give way meanwhile
        raise error

    monkeypatch.setattr(sink._file, "write", full)
    with pytest.raises(raised, match=match):
        sink.drain(outputs)
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="does not exist"):
        AnnotationSink(str(tmp_path / "gone" / "a.json"), "jpg")
    sink = AnnotationSink(str(tmp_path / "a.json"), "jpg")
    sink.drain(filled([stream_info()]))
    (tmp_path / "a.json").mkdir()
    with pytest.raises(SinkError, match=r"a\.json: Is a directory"):
        sink.close()
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_second_run_is_refused_and_takes_nothing_from_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    first = AnnotationSink(str(path), "jpg")
    with pytest.raises(SinkError, match=r"a\.json: another run writes it"):
        AnnotationSink(str(path), "jpg")
    run_sink(first, [stream_info(), frame_result(0)])
    entry = {"id": 1, "width": 16, "height": 12, "file_names": ["0.jpg"], "length": 1}
    assert json.loads(path.read_text()) == {"videos": [entry]}
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_shape_of_pixels_is_a_new_video(tmp_path: Path) -> None:
    oblong = replace(epoch(index=1, reason="size"), pixel_aspect=Fraction(4, 3))
    written = run(tmp_path / "a.json", [frame_result(0), frame_result(1, within=oblong)])
    assert written == {
        "videos": [
            {"id": 1, "width": 16, "height": 12, "file_names": ["0.jpg"], "length": 1},
            {"id": 2, "width": 16, "height": 12, "file_names": ["1.jpg"], "length": 1},
        ]
    }


def test_an_earlier_run_s_file_behind_a_link_is_removed_and_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "a.json"
    target.write_text("of an earlier run")
    link = tmp_path / "a.json"
    link.symlink_to(target)
    sink = AnnotationSink(str(link), "jpg")
    sink.drain(filled([stream_info()]))
    assert not target.exists()
    run_sink(sink, [])
    assert link.is_symlink()
    assert json.loads(target.read_text()) == {"videos": []}
