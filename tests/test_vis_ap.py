"""Average precision: cases counted by hand, COCO's evaluation, the official figures."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.average_precision import AREA_RANGES, STATS, Figures, average_precision
from tests.vis_files import GOLDEN, annotation, box, golden_paths, read, result, video, write


def evaluate(folder: Path, annotations: list[Any], results: list[Any], **parts: Any) -> Figures:
    return average_precision(*read(write(folder, annotations, results, **parts)))


def category_ap(figures: Figures) -> dict[int, float]:
    return {category_id: each["AP"] for category_id, each in figures.categories.items()}


def test_perfect_results(tmp_path: Path) -> None:
    masks = [(box(0, 10), box(5, 10)), (box(50, 9), None)]
    annotations = [annotation(n, *two, category_id=n) for n, two in enumerate(masks, start=1)]
    results = [result(0.5, *two, category_id=n) for n, two in enumerate(masks, start=1)]
    figures = evaluate(tmp_path, annotations, results)
    nothing = {"APm": -1, "APl": -1, "ARm": -1, "ARl": -1}
    assert figures.stats == pytest.approx(dict.fromkeys(STATS, 1.0) | nothing)
    assert category_ap(figures) == pytest.approx({1: 1.0, 2: 1.0})


@pytest.mark.parametrize(
    ("truth", "found", "thresholds"),
    [
        ((box(0, 10), box(0, 10)), (box(0, 10), None), 1),  # IoU 1/2 passes 0.5 alone
        ((box(0, 10), None, box(0, 10)), (box(0, 10),) * 3, 4),  # 2/3: 0.5, 0.55, 0.6, 0.65
        ((box(0, 10), box(0, 10)), (box(0, 10), box(50, 10)), 0),  # 1/3
        ((box(0, 10), box(0, 30)), (box(0, 10), box(0, 15)), 3),  # 25/40, not the mean of 1, 1/2
        ((box(0, 10), None), (None, box(0, 10)), 0),  # the right mask in the wrong frame
    ],
)
def test_tube_iou_decides_which_thresholds_are_passed(
    tmp_path: Path, truth: tuple[Any, ...], found: tuple[Any, ...], thresholds: int
) -> None:
    figures = evaluate(tmp_path, [annotation(1, *truth)], [result(0.9, *found)])
    passed = [thresholds / 10, thresholds / 10, int(thresholds >= 1), int(thresholds >= 6)]
    assert [figures.stats[name] for name in "AP AR100 AP50 AP75".split()] == pytest.approx(passed)
    assert category_ap(figures) == pytest.approx({1: thresholds / 10, 2: -1})


@pytest.mark.parametrize(("score_of_wrong", "precision"), [(0.9, 1 / 2), (0.5, 1.0)])
def test_a_wrong_result_costs_by_its_rank(
    tmp_path: Path, score_of_wrong: float, precision: float
) -> None:
    results = [result(score_of_wrong, box(50, 10)), result(0.7, box(0, 10))]
    figures = evaluate(tmp_path, [annotation(1, box(0, 10))], results)
    assert figures.stats["AP"] == pytest.approx(precision)
    assert figures.stats["AR1"] == (score_of_wrong < 0.7)


def test_of_equal_scores_the_first_in_the_file_ranks_first(tmp_path: Path) -> None:
    results = [result(0.5, box(0, 10)), result(0.5, box(50, 10))]
    for order, expected in ((results, 1.0), (results[::-1], 0.5)):
        figures = evaluate(tmp_path, [annotation(1, box(0, 10))], order)
        assert figures.stats["AP"] == pytest.approx(expected)


def test_a_second_match_is_wrong_unless_with_a_crowd(tmp_path: Path) -> None:
    crowd = annotation(2, box(100, 100), iscrowd=1)
    twice = [result(score, box(100, 100)) for score in (0.9, 0.8)]
    right = result(0.5, box(0, 10))
    truths = [annotation(1, box(0, 10)), crowd]
    assert evaluate(tmp_path, truths, [*twice, right]).stats["AP"] == pytest.approx(1)
    truths[1] = crowd | {"iscrowd": 0}
    figures = evaluate(tmp_path, truths, [*twice, right])
    # Recall to 1/2 at precision 1, then 1 at 2/3: 51 of the 101 recall levels and 50.
    assert figures.stats["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_a_part_of_a_crowd_is_wrong_other_than_in_coco(tmp_path: Path) -> None:
    truths = [annotation(1, box(0, 10)), annotation(2, box(100, 100), iscrowd=1)]
    results = [result(0.9, box(100, 20)), result(0.5, box(0, 10))]  # IoU 1/5, all of it inside
    assert evaluate(tmp_path, truths, results).stats["AP"] == pytest.approx(1 / 2)


def test_sizes_are_by_the_mean_area_where_seen(tmp_path: Path) -> None:
    sides = (100, 200, 300)  # 10,000, 40,000, 90,000: below 128², below 256², above
    annotations = [annotation(n, box(0, s, height=s), None) for n, s in enumerate(sides, start=1)]
    middle = [result(0.5, *annotations[1]["segmentations"])]
    stats = evaluate(tmp_path, annotations, middle).stats
    assert [stats[name] for name in "APs APm APl".split()] == pytest.approx([0, 1, 0])
    assert [stats[name] for name in "ARs ARm ARl".split()] == pytest.approx([0, 1, 0])
    stats = evaluate(tmp_path, annotations[1:2], middle).stats
    assert [stats[name] for name in "APs APm APl".split()] == pytest.approx([-1, 1, -1])
    stated = annotations[1] | {"areas": [70_000, None]}  # what the file says goes before the masks
    stats = evaluate(tmp_path, [stated], middle).stats
    assert [stats[name] for name in "APs APm APl".split()] == pytest.approx([-1, -1, 1])


def test_recall_is_that_of_the_best_1_10_and_100_results_of_a_video(tmp_path: Path) -> None:
    boxes = [box(20 * n, 10, top=20 * row) for n in range(14) for row in range(8)]  # 112
    annotations = [annotation(n, mask) for n, mask in enumerate(boxes, start=1)]
    results = [result(0.001 * n, mask) for n, mask in enumerate(boxes)]
    stats = evaluate(tmp_path, annotations, results).stats
    expected = [1 / 112, 10 / 112, 100 / 112]
    assert [stats[name] for name in ("AR1", "AR10", "AR100")] == pytest.approx(expected)


def test_videos_have_lengths_of_their_own_and_ids_in_any_order(tmp_path: Path) -> None:
    annotations = [
        annotation(0, box(0, 10), box(0, 10), video_id=7),
        annotation(5, box(0, 10), video_id=3),
    ]
    results = [
        result(0.9, box(0, 10), video_id=3),
        result(0.8, box(0, 10), box(0, 10), video_id=7),
    ]
    figures = evaluate(tmp_path, annotations, results, videos=[video(7, 2), video(3, 1)])
    assert figures.stats["AP"] == pytest.approx(1)  # the object with id 0 counts as well


def test_nothing_found_scores_zero(tmp_path: Path) -> None:
    figures = evaluate(tmp_path, [annotation(1, box(0, 10))], [])
    assert [figures.stats[name] for name in ("AP", "AR100", "APl")] == [0, 0, -1]
    assert category_ap(figures) == {1: 0, 2: -1}


def test_videos_of_one_frame_score_as_images_do_in_coco(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    videos = [video(n, 1) for n in range(1, 7)]
    for number in range(36):
        left, top = rng.integers(0, 8, 2).tolist()
        width, height = ((60, 180, 270)[number % 3] + rng.integers(0, 30, 2)).tolist()
        entry = {"video_id": number % 6 + 1, "category_id": number % 2 + 1}
        mask = box(left, width, top=top, height=height)
        annotations.append(annotation(number + 1, mask, **entry))
        for _ in range(rng.integers(0, 4)):
            off = rng.integers(0, 20, 2).tolist()
            found = box(left + off[0], width, top=top + off[1], height=height)
            score = round(float(rng.random()), 1)  # with ties
            results.append(result(score, found, **entry))
    figures = evaluate(tmp_path, annotations, results, videos=videos)
    assert 0.1 < figures.stats["AP"] < 0.9
    assert min(figures.stats.values()) > 0
    assert list(figures.stats.values()) == coco_stats(videos, annotations, results)


def coco_stats(
    videos: list[dict[str, Any]], annotations: list[dict[str, Any]], results: list[dict[str, Any]]
) -> list[float]:
    """What plain COCO evaluation says of the first frames, with the size classes of YouTube-VIS."""
    truth = COCO()
    truth.dataset = {"images": videos, "categories": [{"id": 1}, {"id": 2}]}
    truth.dataset["annotations"] = [as_image(entry) for entry in annotations]
    with redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes([as_image(entry) for entry in results]), "segm")
        evaluation.params.areaRng = [list(limits) for limits in AREA_RANGES]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats: list[float] = evaluation.stats.tolist()
    return stats


def as_image(entry: dict[str, Any]) -> dict[str, Any]:
    segmentation = entry["segmentations"][0]
    area = int(coco_mask.area(segmentation))
    return entry | {"image_id": entry["video_id"], "segmentation": segmentation, "area": area}


def test_the_golden_case_has_the_official_figures(tmp_path: Path) -> None:
    official = json.loads((GOLDEN / "official.json").read_text())
    figures = average_precision(*read(golden_paths(tmp_path)))
    assert figures.stats == pytest.approx(official["stats"], abs=1e-6)
    by_name = {str(category_id): ap for category_id, ap in category_ap(figures).items()}
    assert by_name == pytest.approx(official["per_category_AP"], abs=1e-6)
    for name in STATS:
        found = [category[name] for category in figures.categories.values() if category[name] >= 0]
        assert np.mean(found) == pytest.approx(figures.stats[name], abs=1e-12), name
