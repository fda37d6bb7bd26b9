"""YouTube-VIS results from the JSON lines of a run."""

from __future__ import annotations

import json
import logging
import os
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from streamer.errors import ConfigError, SinkError, SourceError
from streamer.results import main, write_results
from tests.file_limit import files_of_at_most

SIZE = [4, 6]
RNG = np.random.default_rng(3)


def video(video_id: int = 1) -> dict[str, Any]:
    header = {"type": "video", "schema": "vistr-results", "version": 1}
    return header | {"video_id": video_id, "size": SIZE}


def instance(track_id: int, score: float = 0.5, category_id: int = 1) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(RNG.integers(0, 2, SIZE, dtype=np.uint8)))
    segmentation = {"size": SIZE, "counts": rle["counts"].decode("ascii")}
    return {
        "track_id": track_id,
        "score": score,
        "category_id": category_id,
        "segmentation": segmentation,
    }


def frame(*instances: Mapping[str, Any], video_id: int = 1) -> dict[str, Any]:
    return {"type": "frame", "video_id": video_id, "instances": list(instances)}


def write(folder: Path, records: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Write JSON lines; returns their path and that of the results to be."""
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "r.jsonl").write_text(text, encoding="utf-8")
    return str(folder / "r.jsonl"), str(folder / "r.json")


def assembled(folder: Path, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    lines, results = write(folder, records)
    count = write_results(lines, results)
    entries: list[dict[str, Any]] = json.loads(Path(results).read_text())
    assert count == len(entries)
    assert sorted(path.name for path in folder.iterdir()) == ["r.json", "r.jsonl"]
    return entries


def test_one_entry_per_track_with_a_place_for_every_frame(tmp_path: Path) -> None:
    a, b = [instance(4, 0.25), instance(4, 0.75)], [instance(9, 1.0, 3)]
    records = [
        video(),
        frame(),
        frame(a[0]),
        {"type": "gap", "epoch": 1, "reason": "reconnect", "missing": 3},
        frame(b[0]),
        frame(a[1]),
        frame(),
        {"type": "end", "reason": "end", "frames": 5, "dropped": 0},
    ]
    first, second = assembled(tmp_path, records)
    masks = [one["segmentation"] for one in (*a, *b)]
    assert first == {
        "video_id": 1,
        "track_id": 4,
        "score": 0.5,
        "category_id": 1,
        "segmentations": [None, masks[0], None, masks[1], None],
    }
    assert second["segmentations"] == [None, None, masks[2], None, None]
    assert (second["track_id"], second["category_id"], second["score"]) == (9, 3, 1.0)


def test_masks_decode_with_pycocotools(tmp_path: Path) -> None:
    shape = np.zeros(SIZE, dtype=np.uint8, order="F")
    shape[1:3, 2:5] = 1
    one = instance(1)
    one["segmentation"]["counts"] = coco_mask.encode(shape)["counts"].decode("ascii")
    [entry] = assembled(tmp_path, [video(), frame(one)])
    assert np.array_equal(coco_mask.decode(entry["segmentations"][0]), shape)


@pytest.mark.parametrize(("votes", "winner"), [([5, 2, 5], 5), ([5, 2], 2), ([3, 7, 7, 3, 9], 3)])
def test_the_most_frequent_category_wins(tmp_path: Path, votes: list[int], winner: int) -> None:
    frames = [frame(instance(1, category_id=vote)) for vote in votes]
    assert assembled(tmp_path, [video(), *frames])[0]["category_id"] == winner


def test_only_the_best_of_each_category_and_video(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cats = [instance(n, score) for n, score in enumerate((0.2, 0.9, 0.4))]
    records = [video(1), frame(*cats, instance(3, 0.1, 7)), video(2), frame(cats[0], video_id=2)]
    lines, results = write(tmp_path, records)
    with caplog.at_level(logging.INFO, logger="streamer"):
        assert write_results(lines, results, best=2) == 4
    entries = json.loads(Path(results).read_text())
    kept = [(entry["video_id"], entry["track_id"]) for entry in entries]
    assert kept == [(1, 1), (1, 2), (1, 3), (2, 0)]
    assert caplog.messages == [f"{results}: 1 weaker tracks left out"]


def test_each_video_entry_has_its_own_length(tmp_path: Path) -> None:
    records = [video(1), frame(instance(1)), frame(), video(2)]
    records += [frame(video_id=2), frame(instance(2), video_id=2), frame(video_id=2)]
    first, second = assembled(tmp_path, records)
    assert (first["video_id"], len(first["segmentations"])) == (1, 2)
    assert (second["video_id"], len(second["segmentations"])) == (2, 3)
    assert second["segmentations"][1] is not None


@pytest.mark.parametrize("records", [[], [video()], [video(), frame(), frame()]])
def test_nothing_found_is_an_empty_list(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    assert assembled(tmp_path, records) == []


@pytest.mark.parametrize("torn", ['{"type":"frame","vid', "{", "\0\0\0"])
def test_a_torn_last_line_is_left_out_with_a_warning(
    tmp_path: Path, torn: str, caplog: pytest.LogCaptureFixture
) -> None:
    lines, results = write(tmp_path, [video(), frame(instance(1))])
    with Path(lines).open("a") as file:
        file.write(torn)
    with caplog.at_level(logging.WARNING):
        assert write_results(lines, results) == 1
    assert caplog.messages == [f"{lines}: the last line, 3, is torn and left out"]
    assert len(json.loads(Path(results).read_text())[0]["segmentations"]) == 1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (json.dumps(video()) + '\n{"type":"frame"\n', 2),  # a kill would take its newline too
        ("not JSON at all\n", 1),
        ("not JSON at all", 1),
        ("[]\n", 1),  # results, where their lines belong
    ],
)
def test_what_no_kill_leaves_is_refused(tmp_path: Path, text: str, number: int) -> None:
    lines, results = write(tmp_path, [])
    Path(lines).write_text(text)
    Path(results).write_text("old")
    with pytest.raises(SourceError, match=rf"r\.jsonl: line {number} is not JSON"):
        write_results(lines, results)
    assert Path(results).read_text() == "old"


def test_a_whole_last_line_needs_no_newline(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines, results = write(tmp_path, [video(), frame(instance(1))])
    Path(lines).write_text(Path(lines).read_text().rstrip("\n"))
    assert write_results(lines, results) == 1
    assert caplog.messages == []


NO_IDS = [None, True, 1.0, "1", [1]]
NO_COUNTS = ["", "H1", "\ud800", "ä", "o", "05000003"]
"""Run lengths that COCO's tools would read, and write, beyond the frame, or that are none."""


def spoiled(**fields: Any) -> dict[str, Any]:
    return frame(instance(1) | fields)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"type": "frame", "instances": []}, "frame lacks 'video_id'"),
        ({"kind": "frame"}, "message lacks 'type'"),
        ({"type": "picture"}, "type is 'picture'; allowed: video or frame or gap or end"),
        (video() | {"version": 2}, "version is 2; allowed: 1"),
        (video() | {"schema": "vistr-masks"}, "schema is 'vistr-masks'; allowed: vistr-results"),
        *((video(2) | {"size": size}, "size is") for size in ([4], [0, 6], [2**15, 2**15], "4x6")),
        (video(2) | {"masks": None}, "masks is None; allowed: true or false"),
        *((video() | {"video_id": odd}, "video_id is") for odd in NO_IDS),
        *((frame() | {"video_id": odd}, "video_id is") for odd in NO_IDS),
        *((spoiled(track_id=odd), "track_id is") for odd in NO_IDS),
        *((spoiled(category_id=odd), "category_id is") for odd in NO_IDS),
        (frame(video_id=5), "video_id 5 was not announced"),
        (video(), "video_id 1 is announced twice"),
        (frame(instance(1), instance(1)), "track_id 1 appears twice"),
        (spoiled(score="high"), "score is 'high'; allowed: a number from 0 to 1"),
        (spoiled(score=True), "score is True"),
        (spoiled(score=10**400), "score is 1000"),
        (spoiled(score=1e308), r"score is 1e\+308"),
        (spoiled(segmentation=None), "segmentation is None; allowed: an object"),
        (
            spoiled(segmentation={"size": [9, 9], "counts": "0"}),
            r"instance 0: a mask of \(9, 9\) in a video of \(4, 6\)",
        ),
        (spoiled(segmentation={"size": SIZE, "counts": [24]}), r"counts is \[24\]; allowed: text"),
        *(
            (spoiled(segmentation={"size": SIZE, "counts": odd}), "run lengths|counts is")
            for odd in NO_COUNTS
        ),
        (frame() | {"instances": None}, "instances is None; allowed: a list of"),
        (spoiled(score=float("nan")), "is not JSON: NaN is not a number"),
    ],
)
def test_a_malformed_line_is_named_by_its_number(
    tmp_path: Path, record: dict[str, Any], reason: str
) -> None:
    lines, results = write(tmp_path, [video(), frame(), record, frame()])
    with pytest.raises(SourceError, match=rf"r\.jsonl: line 3:? {reason}|line 3: .*{reason}"):
        write_results(lines, results, are_own=False)
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("0.125", "score is inf"),
        ("77", "category_id is inf"),
        ("88", r"bbox is \[inf, 0, 1, 1\]"),
    ],
)
def test_a_number_too_large_is_named(tmp_path: Path, number: str, reason: str) -> None:
    one = instance(1, 0.125, 77) | {"bbox": [88, 0, 1, 1]}
    lines, results = write(tmp_path, [video() | {"masks": False}, frame(one), frame()])
    Path(lines).write_text(Path(lines).read_text().replace(number, "1e999"))
    with pytest.raises(SourceError, match=rf"line 2: instances\[0\]: {reason}"):
        write_results(lines, results)


def test_parts_of_one_run_make_one_file_and_those_of_two_are_refused(tmp_path: Path) -> None:
    first, second = video(1) | {"run": "a"}, video(2) | {"run": "b"}
    frames = [frame(instance(1)), frame(instance(1), video_id=2)]
    lines, results = write(tmp_path, [first, frames[0], second | {"run": "a"}, frames[1]])
    assert write_results(lines, results) == 2
    lines, results = write(tmp_path, [first, frames[0], second, frames[1]])
    with pytest.raises(SourceError, match=r"line 3: run 'b' comes after run 'a'"):
        write_results(lines, results)


def test_a_pipe_is_refused_by_its_name(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    try:
        with pytest.raises(SourceError, match=rf"/dev/fd/{reader}: is a pipe or the like"):
            write_results(f"/dev/fd/{reader}", str(tmp_path / "r.json"))
    finally:
        os.close(reader)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", "\xff\xfe", "17", "[" * 10**5])
def test_broken_json_before_the_last_line(tmp_path: Path, text: str) -> None:
    lines, results = write(tmp_path, [video()])
    with Path(lines).open("a", encoding="latin-1") as file:
        file.write(text + "\n" + json.dumps(frame()) + "\n")
    with pytest.raises(SourceError, match="line 2 is not JSON"):
        write_results(lines, results)


def test_a_failed_assembly_leaves_the_old_results(tmp_path: Path) -> None:
    lines, results = write(tmp_path, [video(), frame(instance(1))])
    Path(results).write_text("old")
    with files_of_at_most(10), pytest.raises(SinkError, match=r"r\.json: File too large"):
        write_results(lines, results)
    assert Path(results).read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", "r.jsonl"]


def test_paths_that_do_not_work_are_named(tmp_path: Path) -> None:
    lines, results = write(tmp_path, [video()])
    with pytest.raises(SourceError, match=r"gone\.jsonl: No such file"):
        write_results(str(tmp_path / "gone.jsonl"), results)
    with pytest.raises(SinkError, match=r"gone/r\.json: the folder .* does not exist"):
        write_results(lines, str(tmp_path / "gone" / "r.json"))
    with pytest.raises(ConfigError, match="is also the lines that the results"):
        write_results(lines, f"{tmp_path}/../{tmp_path.name}/r.jsonl")
    assert Path(lines).read_text() == json.dumps(video()) + "\n"


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    frames = 4_000
    padding = {"category": "x" * 500}  # as real masks would weigh
    line = json.dumps(frame(*(instance(n) | padding for n in range(3)))) + "\n"
    with (tmp_path / "r.jsonl").open("w") as file:
        file.write(json.dumps(video()) + "\n")
        file.writelines(line for _ in range(frames))
    assert (tmp_path / "r.jsonl").stat().st_size > 7e6
    tracemalloc.start()
    try:
        assert write_results(str(tmp_path / "r.jsonl"), str(tmp_path / "r.json")) == 3
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 500_000
    entries = json.loads((tmp_path / "r.json").read_text())
    assert [len(entry["segmentations"]) for entry in entries] == [frames] * 3


@pytest.mark.parametrize("records", [[], [{"type": "end", "reason": "end", "frames": 0}]])
def test_the_command_replaces_no_results_by_those_of_no_video(
    tmp_path: Path, records: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    lines, results = write(tmp_path, records)
    Path(results).write_text("old")
    assert main([lines, results]) == 1
    expected = f"error: {lines}: holds no video; expected the JSON lines of a run\n"
    assert capsys.readouterr().err == expected
    assert Path(results).read_text() == "old"


def test_the_command_counts_tracks_and_ends_in_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, results = write(tmp_path, [video(), frame(instance(1), instance(2))])
    assert main([lines, results]) == 0
    assert capsys.readouterr().out == f"{results}: 2 tracks\n"
    assert main([str(tmp_path / "gone.jsonl"), results]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/gone.jsonl: No such file or directory\n"
    assert main([lines, lines]) == 2
    assert capsys.readouterr().err.startswith(f"error: {lines} is also")
    assert main([lines, str(tmp_path / "a.mp4")]) == 2
    allowed = "allowed: a JSON file, such as r.json"
    assert capsys.readouterr().err == f"error: results is '{tmp_path}/a.mp4'; {allowed}\n"
    assert main([lines, "-"]) == 1
    assert capsys.readouterr().err.startswith("error: -: results do not go to standard output")
    with pytest.raises(SystemExit) as exit_:
        main([lines])
    assert exit_.value.code == 2
