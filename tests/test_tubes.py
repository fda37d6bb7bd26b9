"""Masks of all notations, and the overlap of tubes against plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from benchmarks.masks import read_masks
from benchmarks.tubes import Tube, frame_ious, tube_ious
from tests.vis_files import rle

SIZE = (5, 7)
Frames = list[NDArray[np.bool_] | None]

FEW = settings(max_examples=100)
OBJECTS = st.integers(1, 4).flatmap(
    lambda frames: st.lists(
        st.lists(st.none() | arrays(np.bool_, SIZE), min_size=frames, max_size=frames),
        min_size=2,
        max_size=6,
    )
)
"""A few objects of one video: for each frame a mask [5, 7] or None."""


def tube_of(segmentations: Sequence[Any]) -> Tube:
    return Tube(*read_masks(segmentations, SIZE))


def compressed(frames: Frames) -> Tube:
    return tube_of([None if mask is None else rle(mask) for mask in frames])


def dense(frames: Frames) -> NDArray[np.bool_]:
    return np.stack([np.zeros(SIZE, dtype=np.bool_) if mask is None else mask for mask in frames])


def dense_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def lengths_of(mask: NDArray[np.bool_], *, broken: bool) -> list[int]:
    """Uncompressed counts of a mask; broken up, each pixel is a run with an empty one after it."""
    pixels = mask.ravel(order="F")
    if broken:
        return [0] * int(pixels[0]) + [
            run
            for here, after in zip(pixels, [*pixels[1:], None], strict=True)
            for run in ([1, 0] if after == here else [1])
        ]
    changes = np.flatnonzero(np.diff(pixels)) + 1
    return [0] * int(pixels[0]) + np.diff([0, *changes, pixels.size]).tolist()


@FEW
@given(OBJECTS)
def test_overlaps_are_those_of_plain_arrays(objects: list[Frames]) -> None:
    results, truths = objects[::2], objects[1::2]
    tubes = [compressed(frames) for frames in results], [compressed(frames) for frames in truths]
    expected = [[dense_iou(dense(a), dense(b)) for b in truths] for a in results]
    assert tube_ious(*tubes).tolist() == expected  # exactly: all are quotients of whole numbers
    for frame in range(len(objects[0])):
        expected = [[dense_iou(dense(a)[frame], dense(b)[frame]) for b in truths] for a in results]
        assert frame_ious(*tubes, frame).tolist() == expected


@FEW
@given(OBJECTS)
def test_every_notation_is_the_same_mask(objects: list[Frames]) -> None:
    for frames in objects:
        tube = compressed(frames)
        assert tube.areas.tolist() == dense(frames).sum(axis=(1, 2)).tolist()
        for broken in (False, True):
            same = tube_of(
                [
                    None
                    if mask is None
                    else {"size": list(SIZE), "counts": lengths_of(mask, broken=broken)}
                    for mask in frames
                ]
            )
            assert same.masks == tube.masks
            assert same.areas.tolist() == tube.areas.tolist()


def test_polygons_are_united() -> None:
    squares = [[1, 1, 3, 1, 3, 3, 1, 3], [2.0, 1, 5, 1, 5, 3, 2, 3]]
    tube = tube_of([squares, [], squares[:1]])
    assert tube.areas.tolist() == [8, 0, 4]
    expected = np.zeros(SIZE, dtype=np.uint8)
    expected[1:3, 1:5] = 1
    assert np.array_equal(coco_mask.decode(tube.masks[0]), expected)
    assert tube.masks[1] is None


def test_the_mean_area_is_that_of_the_frames_with_pixels() -> None:
    full, none = np.ones(SIZE, dtype=np.bool_), np.zeros(SIZE, dtype=np.bool_)
    half = full.copy()
    half[:, :3] = False
    assert compressed([full, None, half, none]).mean_area == (35 + 20) / 2
    assert compressed([None, none]).mean_area == 0


def test_no_tubes_have_no_overlaps() -> None:
    tube = compressed([np.ones(SIZE, dtype=np.bool_)])
    assert tube_ious([], [tube]).shape == frame_ious([], [tube], 0).shape == (0, 1)
    assert tube_ious([tube], []).shape == frame_ious([tube], [], 0).shape == (1, 0)
    with pytest.raises(ValueError, match="1 masks, but areas"):
        Tube(tube.masks, np.zeros(2, dtype=np.int64))


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        (7, "7 is neither RLE nor a list of polygons"),
        ({"counts": "S1"}, r"size None, the video has \[5, 7\]"),
        ({"size": [7, 5], "counts": "S1"}, r"size \[7, 5\], the video has \[5, 7\]"),
        ({"size": [5, 7]}, "counts None, expected run lengths"),
        ({"size": [5, 7], "counts": ""}, "counts '' are cut off, or no run lengths"),
        ({"size": [5, 7], "counts": "S"}, "counts 'S' are cut off"),
        ({"size": [5, 7], "counts": "5 1"}, "counts '5 1' are cut off, or no run lengths"),
        ({"size": [5, 7], "counts": "S1é"}, "counts 'S1é', expected run lengths"),
        ({"size": [5, 7], "counts": "PPPPPPP0"}, "a number of more than 7 characters"),
        ({"size": [5, 7], "counts": "R1"}, "counts cover 34 pixels, the frame has 35"),
        ({"size": [5, 7], "counts": "S10001"}, "counts cover 36 pixels, the frame has 35"),
        ({"size": [5, 7], "counts": "T1O"}, "counts hold a negative run, the frame has 35"),
        ({"size": [5, 7], "counts": [30, 4]}, "counts cover 34 pixels, the frame has 35"),
        ({"size": [5, 7], "counts": [36, -1]}, "counts hold 36, expected whole numbers to 35"),
        ({"size": [5, 7], "counts": [35, True]}, "counts hold True"),
        ({"size": [5, 7], "counts": []}, "counts are empty"),
        ([[1, 1, 3, 3]], r"polygon \[1, 1, 3, 3\], expected x, y of three corners or more"),
        ([[1, 1, 3, 3, 1, 3, 2]], "of three corners or more"),
        ([1, 1, 3, 3, 1, 3], "polygon 1, expected"),
        ([[1, 1, 3, float("nan"), 1, 3]], "polygon with nan, allowed are -14 to 14"),
        ([[1, 1, 3, "3", 1, 3]], "polygon with '3', allowed"),
        ([[1, 1, 3, 1e9, 1, 3]], "polygon with 1000000000.0, allowed"),
    ],
)
def test_a_broken_mask_is_named(segmentation: Any, reason: str) -> None:
    whole = {"size": [5, 7], "counts": "S1"}
    with pytest.raises(ValueError, match=rf"^segmentations(\[2\])?: .*{reason}"):
        read_masks([whole, None, segmentation, whole], SIZE)
