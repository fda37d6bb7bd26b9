"""HOTA, IDF1 and identity switches: cases counted by hand, and TrackEval's own reading."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.tracking import tracking_figures
from tests.vis_files import SIZE, annotation, box, golden_paths, read, result, rle, write

FOUR = tuple(box(5 * n, 10) for n in range(4))
PERFECT = {"HOTA": 1.0, "DetA": 1.0, "AssA": 1.0, "IDF1": 1.0, "IDSW": 0}


def track(folder: Path, annotations: list[Any], results: list[Any]) -> dict[str, float]:
    return tracking_figures(*read(write(folder, annotations, results)))


def test_a_perfect_track(tmp_path: Path) -> None:
    assert track(tmp_path, [annotation(1, *FOUR)], [result(0.1, *FOUR)]) == pytest.approx(PERFECT)


def test_an_identity_switch(tmp_path: Path) -> None:
    halves = [result(0.9, *FOUR[:2], None, None), result(0.9, None, None, *FOUR[2:])]
    figures = track(tmp_path, [annotation(1, *FOUR)], halves)
    # Each mask is found. Of the object's 4 masks its match holds 2, which is AssA; the one identity
    # that counts for IDF1 has 2 right, 2 are missing, and 2 are the other's.
    expected = {"HOTA": sqrt(1 / 2), "DetA": 1.0, "AssA": 1 / 2, "IDF1": 1 / 2, "IDSW": 1}
    assert figures == pytest.approx(expected)


def test_two_objects_that_swap_identities(tmp_path: Path) -> None:
    other = tuple(box(5 * n, 10, top=100) for n in range(4))
    truths = [annotation(1, *FOUR), annotation(2, *other)]
    swapped = [result(0.9, *FOUR[:3], other[3]), result(0.9, *other[:3], FOUR[3])]
    figures = track(tmp_path, truths, swapped)
    # 6 of 8 masks lie in pairs that share 3 of 5 frames, 2 in pairs that share 1 of 7.
    ass_a = (6 * 3 / 5 + 2 * 1 / 7) / 8
    expected = {"HOTA": sqrt(ass_a), "DetA": 1.0, "AssA": ass_a, "IDF1": 6 / 8, "IDSW": 2}
    assert figures == pytest.approx(expected)


def test_another_category_is_another_object(tmp_path: Path) -> None:
    figures = track(tmp_path, [annotation(1, *FOUR)], [result(0.9, *FOUR, category_id=2)])
    assert figures == dict.fromkeys(PERFECT, 0)


def test_empty_masks_and_unlisted_categories_are_nothing(tmp_path: Path) -> None:
    nothing = rle(np.zeros(SIZE))
    results = [
        result(0.9, *FOUR),
        result(0.9, *(nothing,) * 4),
        result(0.9, *FOUR, category_id=9),
    ]
    assert track(tmp_path, [annotation(1, *FOUR)], results) == pytest.approx(PERFECT)
    assert track(tmp_path, [annotation(1, *(nothing,) * 4)], []) == dict.fromkeys(PERFECT, -1)


def test_golden_case_as_trackeval_reads_it(tmp_path: Path) -> None:
    # From TrackEval 1.3.0's YouTubeVIS data set on the same files, all detections together.
    expected = {
        "HOTA": 0.39224625813317965,
        "DetA": 0.19922407347732804,
        "AssA": 0.7804547597287043,
        "IDF1": 0.3470319634703196,
        "IDSW": 3,
    }
    figures = tracking_figures(*read(golden_paths(tmp_path)))
    assert figures == pytest.approx(expected, abs=1e-12)
