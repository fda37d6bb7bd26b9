"""Ground truth and results that are not as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.annotations import read_ground_truth, read_results
from streamer.errors import SourceError
from tests.vis_files import annotation, box, read, result, video, write

MASKS = (box(0, 10), None)
TRUTH = annotation(1, *MASKS)
FOUND = result(0.5, *MASKS)
SMALL = {"size": [5, 7], "counts": "S1"}


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


def gt_parts(**parts: Any) -> dict[str, Any]:
    return {"annotations": [TRUTH], "videos": [video()]} | parts


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({"videos": [video(), video(2, 0)]}, r"videos\[1\] \(id 2\): 0 frames, expected 1 or more"),
        (
            {"videos": [video(), without(video(2), "length") | {"file_names": []}]},
            r"videos\[1\] \(id 2\): 0 frames",
        ),
        ({"videos": [video(), without(video(2), "length")]}, r"videos\[1\] \(id 2\): 0 frames"),
        (
            {"videos": [video(), video(2) | {"width": 0}]},
            r"videos\[1\] \(id 2\): 0x300 pixels, allowed are 1 to 134217728",
        ),
        (
            {"videos": [video(), video(2) | {"height": "300"}]},
            r"videos\[1\] \(id 2\): height is '300', expected a whole number",
        ),
        ({"videos": [video(), 5]}, r"videos\[1\]: expected an object, found 5"),
        ({"categories": [{"id": 1}, None]}, r"categories\[1\]: expected an object, found None"),
        ({"videos": [video(), video(True)]}, r"videos\[1\] \(id True\): id is True, expected a"),
        (
            {"categories": [{"id": 1, "name": "person"}, {"id": 1, "name": "dog"}]},
            r"categories\[1\] \(id 1\): id 1 is taken by an earlier entry",
        ),
        (
            {"annotations": [TRUTH, TRUTH]},
            r"annotations\[1\] \(id 1, video_id 1, category_id 1\): id 1 is taken",
        ),
    ],
)
def test_a_bad_list_entry_is_named(tmp_path: Path, parts: dict[str, Any], line: str) -> None:
    gt, _ = write(tmp_path, results=[], **gt_parts(**parts))
    with pytest.raises(SourceError, match=rf"^{gt}: {line}"):
        read_ground_truth(gt)
    bad: list[str] = []
    truth = read_ground_truth(gt, bad)
    assert (len(bad), len(truth.videos), len(truth.truths)) == (1, 1, 1)
    assert bad[0].startswith(f"{gt}: ")


def test_areas_may_be_rounded_up(tmp_path: Path) -> None:
    gt, _ = write(tmp_path, **gt_parts(annotations=[TRUTH | {"areas": [90_900, 0]}]), results=[])
    assert read_ground_truth(gt).truths[0].area == 90_900


def test_of_videos_with_one_id_none_is_evaluated(tmp_path: Path) -> None:
    videos = [video(), video() | {"height": 9}, video(2)]
    gt, _ = write(tmp_path, results=[], **gt_parts(videos=videos))
    with pytest.raises(SourceError, match=r"videos\[0\] \(id 1\): 2 videos have this id"):
        read_ground_truth(gt)
    bad: list[str] = []
    truth = read_ground_truth(gt, bad)
    assert list(truth.videos) == [2]
    assert [line.partition(gt)[2][:11] for line in bad] == [
        *(": videos[0]", ": videos[1]", ": annotatio")
    ]


SPOILED: list[tuple[dict[str, Any], str]] = [
    ({"video_id": 9}, "the ground truth lists no such video"),
    ({"video_id": None}, "video_id is None, expected a whole number of 64 bits"),
    ({"category_id": 2**63}, "category_id is 9223372036854775808, expected a whole number of 64"),
    ({"segmentations": [None]}, "1 segmentations, the video has 2 frames"),
    ({"segmentations": None}, "segmentations is None, expected a list"),
    ({"segmentations": [SMALL, None]}, r"segmentations\[0\]: size \[5, 7\], the video has"),
    (
        {"segmentations": [None, MASKS[0] | {"counts": MASKS[0]["counts"][:-3]}]},
        r"segmentations\[1\]: counts (cover|'.*' are cut off)",
    ),
]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        *SPOILED,
        ({"category_id": 9}, "the ground truth lists no such category"),
        ({"iscrowd": 2}, "iscrowd is 2, expected 0 or 1"),
        ({"areas": [100]}, "1 areas, the video has 2 frames"),
        ({"areas": [100, -1]}, "areas hold -1, expected null or 0 to 90000 pixels"),
        ({"areas": [100, float("inf")]}, "areas hold inf, expected"),
        ({"areas": [90_901, None]}, "areas hold 90901, expected null or 0 to 90000"),
        ({"areas": [1e308, 1e308]}, r"areas hold 1e\+308, expected"),
    ],
)
def test_a_bad_annotation_is_named(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    bad_one = annotation(2, *MASKS) | fields
    gt, _ = write(tmp_path, **gt_parts(annotations=[TRUTH, bad_one]), results=[])
    with pytest.raises(SourceError, match=rf"^{gt}: annotations\[1\] \(id 2, .*\): {reason}"):
        read_ground_truth(gt)
    bad: list[str] = []
    assert len(read_ground_truth(gt, bad).truths) == len(bad) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        *SPOILED,
        ({"score": None}, "score is None, expected a finite number"),
        ({"score": float("nan")}, "score is nan, expected a finite number"),
        ({"score": 10**400}, "score is 1000.*, expected a finite number"),
        ({"score": "0.5"}, "score is '0.5', expected a finite number"),
    ],
)
def test_a_bad_result_is_named(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    gt, results = write(tmp_path, **gt_parts(), results=[FOUND, FOUND | fields, FOUND])
    videos = read_ground_truth(gt).videos
    with pytest.raises(SourceError, match=rf"^{results}: results\[1\] \(.*\): {reason}"):
        read_results(results, videos)
    bad: list[str] = []
    assert (len(read_results(results, videos, bad)), len(bad)) == (2, 1)


def test_results_of_boxes_are_not_scored_as_no_masks(tmp_path: Path) -> None:
    boxes = result(0.5, None, None, bboxes=[[0, 0, 10, 10], None])
    gt, results = write(tmp_path, **gt_parts(), results=[boxes, FOUND | {"bboxes": [None, None]}])
    videos = read_ground_truth(gt).videos
    with pytest.raises(SourceError, match=r"results\[0\] \(.*\): has bboxes, but no segmentation"):
        read_results(results, videos)
    assert len(read_results(results, videos, [])) == 1


def test_what_hangs_on_a_bad_video_is_bad_too(tmp_path: Path) -> None:
    gt, results = write(
        tmp_path,
        [annotation(1, box(0, 10), video_id=1), annotation(2, *MASKS, video_id=2)],
        [result(0.5, video_id=1), result(0.5, *MASKS, video_id=2)],
        videos=[video(1, 0), video(2)],
    )
    bad: list[str] = []
    truth = read_ground_truth(gt, bad)
    assert len(read_results(results, truth.videos, bad)) == 1
    assert [line.split(": ")[1] for line in bad] == [
        "videos[0] (id 1)",
        "annotations[0] (id 1, video_id 1, category_id 1)",
        "results[0] (video_id 1, category_id 1)",
    ]


def test_what_is_not_needed_may_be_left_out(tmp_path: Path) -> None:
    names = without(video(), "length") | {"file_names": ["a.jpg", "b.jpg"]}
    sparse = without(TRUTH, "iscrowd")
    paths = write(tmp_path, [sparse], [FOUND], videos=[names], categories=[{"id": 1}])
    truth, results = read(paths)
    assert (truth.categories, truth.truths[0].crowd, len(results)) == ({1: "1"}, False, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON: Expecting property name"),
        ("\xff", "is not JSON: it is no text"),
        ("[" * 100_000, "is not JSON: "),
        ("[]", "expected an object, found list"),
        (
            '{"videos": [{}], "info": {"videos": []}, "videos": []}',
            "has the key 'videos' 2 times, expected once",
        ),
        ('{"categories": [], "annotations": []}', "videos is None, expected a list"),
        ('{"videos": [], "categories": []}', "annotations is None, expected a list"),
        ('{"videos": [], "categories": [], "annotations": []}', "there is no video to evaluate"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_is_no_ground_truth(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "gt.json"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    with pytest.raises(SourceError, match=rf"^{path}: {reason}"):
        read_ground_truth(str(path), bad=[])


def test_results_are_a_list_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("{}")
    with pytest.raises(SourceError, match=r"results\.json: expected a list, found dict"):
        read_results(str(path), {}, bad=[])
    path.write_text("[[]]")
    with pytest.raises(SourceError, match=r"results\[0\]: expected an object, found \[\]"):
        read_results(str(path), {})
