"""`training.real_clip`: labels are held against the stream's results in the same frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.annotations import GroundTruth, Result, Truth, Video
from benchmarks.average_precision import average_precision
from model import save_vistr
from streamer.config import SHIPPED_CLIP
from streamer.errors import SourceError
from tests.clips import make_clip
from tests.evaluated import pictures, sure_vistr, write_labels
from training.real_clip import (
    ANNOTATIONS,
    _frame_by_frame,
    label_figures,
    load_for_evaluation,
    read_labels,
)
from training.streaming import stream_results
from training.tube_figures import tube_of

LABELLED = (0, 7, 14, 21, 28)
PERFECT = {
    **dict.fromkeys(("mask AP", "mask AP50", "tube AP", "tube AP50"), 1.0),
    **dict.fromkeys(("HOTA", "DetA", "AssA", "IDF1"), 1.0),
    "IDSW": 0,
}


@dataclass
class Case:
    """A clip, weights, and what the stream with these makes of it."""

    clip: Path
    weights: Path
    video: Video
    results: list[Result]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    clip, weights = folder / "clip.mp4", folder / "net.safetensors"
    make_clip(clip, frames=list(pictures(5, 33)))
    save_vistr(sure_vistr(18), weights)
    # As it is evaluated: with its norms folded, masks of random weights differ in some pixels.
    return Case(clip, weights, *stream_results(load_for_evaluation(weights), clip, "clip"))


def figures_of(case: Case, labels: Path, clip: Path) -> dict[str, float]:
    return label_figures(load_for_evaluation(case.weights), read_labels(labels), clip)


def test_the_streams_own_results_as_labels_are_found_whole(tmp_path: Path, case: Case) -> None:
    write_labels(tmp_path / "labels.json", case.video, case.results, LABELLED)
    figures = figures_of(case, tmp_path / "labels.json", case.clip)
    assert figures.pop("tracks") == figures.pop("objects") == len(case.results) > 1
    assert figures == pytest.approx(PERFECT)


def test_the_labels_in_the_repository_fit_the_clip_that_ships(case: Case) -> None:
    figures = figures_of(case, ANNOTATIONS, SHIPPED_CLIP)
    assert figures["objects"] == 9
    assert list(figures)[: len(PERFECT)] == list(PERFECT)


def test_labels_of_other_frames_are_not(tmp_path: Path, case: Case) -> None:
    path = tmp_path / "labels.json"
    content = write_labels(path, case.video, case.results, LABELLED)
    content["videos"][0]["frames"] = [index + 4 for index in LABELLED]
    path.write_text(json.dumps(content))
    figures = figures_of(case, path, case.clip)
    assert figures["mask AP"] < 1
    assert figures["HOTA"] < 1


def test_frames_by_themselves_know_no_identities(tmp_path: Path, case: Case) -> None:
    path = tmp_path / "labels.json"
    content = write_labels(path, case.video, case.results, LABELLED)
    first = content["annotations"][0]
    rest = [None, None, *first["segmentations"][2:]]
    first["segmentations"] = [*first["segmentations"][:2], None, None, None]
    content["annotations"].append(first | {"id": 100, "segmentations": rest})
    path.write_text(json.dumps(content))
    figures = figures_of(case, path, case.clip)
    assert figures["mask AP"] == pytest.approx(1)
    assert figures["DetA"] == pytest.approx(1)
    assert figures["AssA"] < 1
    assert figures["tube AP"] < 1


@pytest.mark.parametrize(("found_in", "ap"), [(0, 1.0), (1, 0.0)])
def test_what_is_found_in_another_frame_alone_is_not_found(found_in: int, ap: float) -> None:
    shown = np.zeros((2, 2, 8, 8), np.bool_)
    shown[0, 0, 2:6, 2:6] = shown[1, found_in, 2:6, 2:6] = True
    object_tube, result_tube = map(tube_of, shown)
    truth = GroundTruth(
        {7: Video((8, 8), 2)}, {1: "person"}, (Truth(7, 1, object_tube, 16, crowd=False),)
    )
    figures = average_precision(*_frame_by_frame(truth, [Result(7, 1, 0.9, result_tube)])).stats
    assert figures["AP"] == pytest.approx(ap)


def two_videos(content: dict[str, Any]) -> None:
    content["videos"].append(content["videos"][0] | {"id": 8})


def frames(*indices: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["videos"][0].update(frames=list(indices))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (two_videos, "has 2 videos, expected 1"),
        (lambda content: content["videos"][0].pop("frames"), r"frames is None, expected 5 asc"),
        (frames(0, 7), r"frames is \[0, 7\], expected 5 ascending indices"),
        (frames(0, 7, 7, 8, 9), "expected 5 ascending"),
        (frames(4, 3, 2, 1, 0), "expected 5 ascending"),
        (frames(-1, 1, 2, 3, 4), "expected 5 ascending"),
        (frames(0, 1, 2, 3, "4"), "expected 5 ascending"),
    ],
)
def test_bad_labels_are_named(
    tmp_path: Path, case: Case, edit: Callable[[dict[str, Any]], object], reason: str
) -> None:
    path = tmp_path / "labels.json"
    content = write_labels(path, case.video, case.results, LABELLED)
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=rf"labels\.json: .*{reason}"):
        read_labels(path)


def test_labels_of_another_clip_are_refused(tmp_path: Path, case: Case) -> None:
    write_labels(tmp_path / "labels.json", case.video, case.results, LABELLED)
    other = tmp_path / "other.mp4"
    for size, length in (((32, 64), 33), ((48, 64), 28)):
        make_clip(other, frames=length, size=size)
        expected = f"other.mp4: {length} frames of 64x{size[0]}, but labels of frame 28 and 64x48"
        with pytest.raises(SourceError, match=expected):
            figures_of(case, tmp_path / "labels.json", other)
