"""The checked labels of the shipped clip: valid, apart from each other, on the people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from scipy import ndimage

from benchmarks.annotations import GroundTruth, read_ground_truth
from streamer.config import SHIPPED_CLIP

LABELS = Path(__file__).parent / "real_clip" / "annotations.json"
EIGHT_NEIGHBOURS = np.ones((3, 3))


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return json.loads(LABELS.read_text())


@pytest.fixture(scope="module")
def truth() -> GroundTruth:
    return read_ground_truth(str(LABELS))


@pytest.fixture(scope="module")
def masks(truth: GroundTruth) -> NDArray[np.bool_]:
    """The labels, bool [people, frames, height, width]."""
    video = truth.videos[1]
    labels = np.zeros((len(truth.truths), video.frames, *video.size), dtype=np.bool_)
    for person, label in enumerate(truth.truths):
        for frame, mask in enumerate(label.tube.masks):
            if mask is not None:
                labels[person, frame] = coco_mask.decode(mask)
    return labels


@pytest.fixture(scope="module")
def clip() -> NDArray[np.uint8]:
    with av.open(str(SHIPPED_CLIP)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_reads_as_ground_truth(truth: GroundTruth) -> None:
    assert truth.videos.keys() == {1}
    assert truth.videos[1].frames == 21
    assert truth.categories == {1: "person"}
    assert len(truth.truths) == 9
    assert not any(label.crowd for label in truth.truths)


def test_frames_are_every_seventh_of_the_shipped_clip(
    content: dict[str, Any], truth: GroundTruth, clip: NDArray[np.uint8]
) -> None:
    (video,) = content["videos"]
    assert video["frames"] == list(range(0, 141, 7))
    assert video["frames"][-1] < len(clip)
    assert video["file_names"] == [f"frame_{index:03d}.png" for index in video["frames"]]
    assert truth.videos[1].size == clip.shape[1:3]


def test_boxes_and_areas_are_those_of_the_masks(
    content: dict[str, Any], masks: NDArray[np.bool_]
) -> None:
    for entry, person in zip(content["annotations"], masks, strict=True):
        for box, area, mask in zip(entry["bboxes"], entry["areas"], person, strict=True):
            if not mask.any():
                assert box is None
                assert area is None
                continue
            rows, columns = np.nonzero(mask)
            left, top = columns.min(), rows.min()
            assert box == [left, top, columns.max() + 1 - left, rows.max() + 1 - top]
            assert area == mask.sum()


def test_no_pixel_belongs_to_two_people(masks: NDArray[np.bool_]) -> None:
    assert masks.sum(axis=0).max() == 1


def test_people_are_mostly_in_one_piece(masks: NDArray[np.bool_]) -> None:
    for person in masks:
        shares = []
        for mask in person[person.any(axis=(1, 2))]:
            parts, _ = ndimage.label(mask, EIGHT_NEIGHBOURS)
            shares.append(np.bincount(parts[mask]).max() / mask.sum())
        assert np.mean(np.array(shares) >= 0.8) >= 0.8


def test_labels_lie_on_what_moves(
    content: dict[str, Any], masks: NDArray[np.bool_], clip: NDArray[np.uint8]
) -> None:
    """A wrong frame index would put most labels on bare ground."""
    background = np.median(clip[::4], axis=0)
    people = masks.any(axis=0)
    frames = content["videos"][0]["frames"]
    for position, index in enumerate(frames):
        moving = np.abs(clip[index] - background).max(axis=2) > 20
        assert moving[people[position]].mean() > 0.95
        around = ndimage.binary_dilation(people[position], iterations=6)
        around &= ~ndimage.binary_dilation(people[position], iterations=3)
        assert moving[around].mean() < 0.2
