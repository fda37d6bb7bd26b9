"""Clips as padded tensors, and boxes from masks."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from tests.training_cases import random_clip
from training.clip import Clip
from training.network import window_times
from training.targets import Batch, boxes_of

HEIGHT, WIDTH = 8, 10


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(0, 8), slice(0, 10)),
        (slice(2, 5), slice(3, 9)),
        (slice(0, 1), slice(0, 1)),
        (slice(7, 8), slice(9, 10)),
        (slice(3, 4), slice(0, 10)),
        (slice(0, 8), slice(4, 5)),
    ],
)
def test_boxes_reach_from_the_first_pixel_to_the_end_of_the_last(
    rows: slice, columns: slice
) -> None:
    mask = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    mask[rows, columns] = True
    middle = (columns.start + columns.stop) / 2 / WIDTH, (rows.start + rows.stop) / 2 / HEIGHT
    extent = (columns.stop - columns.start) / WIDTH, (rows.stop - rows.start) / HEIGHT
    box = boxes_of(mask)
    assert box.dtype == torch.float32
    assert box.tolist() == pytest.approx([*middle, *extent])


def test_boxes_span_all_parts_of_a_mask_and_are_zero_without_any() -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((4, 5, HEIGHT, WIDTH)) < 0.04
    masks[0, 0] = False
    boxes = boxes_of(torch.from_numpy(masks))
    for place in np.ndindex(4, 5):
        rows, columns = np.nonzero(masks[place])
        if not len(rows):
            assert boxes[place].tolist() == [0, 0, 0, 0]
            continue
        low = np.array([columns.min(), rows.min()]) / (WIDTH, HEIGHT)
        high = np.array([columns.max() + 1, rows.max() + 1]) / (WIDTH, HEIGHT)
        expected = [*((low + high) / 2), *(high - low)]
        assert boxes[place].tolist() == pytest.approx(expected)


def test_clips_are_padded_to_the_one_with_most_objects() -> None:
    rng = np.random.default_rng(0)
    clips = [random_clip(rng, labels, 3, (16, 24)) for labels in ([2], [5, 1, 4], [])]
    batch = Batch.of(clips, window_times(3, 6).expand(3, -1))
    assert batch.labels.tolist() == [[2, 0, 0], [5, 1, 4], [0, 0, 0]]
    assert batch.present.tolist() == [[True, False, False], [True] * 3, [False] * 3]
    assert batch.times.tolist() == [[1, 3, 5]] * 3
    for row, clip in enumerate(clips):
        count = len(clip.masks)
        np.testing.assert_array_equal(batch.frames[row], clip.frames)
        np.testing.assert_array_equal(batch.masks[row, :count], clip.masks)
        np.testing.assert_array_equal(batch.visible[row, :count], clip.masks.any((2, 3)))
        torch.testing.assert_close(batch.boxes[row], boxes_of(batch.masks[row]))
        for padding in (batch.boxes, batch.visible, batch.masks):
            assert not padding[row, count:].any()


def test_clips_may_all_be_without_objects() -> None:
    clip = random_clip(np.random.default_rng(0), [], 2, (16, 24))
    batch = Batch.of([clip, clip], window_times(2, 6).expand(2, -1))
    assert batch.labels.shape == (2, 0)
    assert batch.boxes.shape == (2, 0, 2, 4)
    assert batch.visible.shape == (2, 0, 2)
    assert batch.masks.shape == (2, 0, 2, 16, 24)


def test_all_of_a_batch_moves_to_a_device() -> None:
    clip = random_clip(np.random.default_rng(0), [1], 2, (16, 24))
    moved = Batch.of([clip], window_times(2, 6)[None]).to(torch.device("meta"))
    assert {getattr(moved, field.name).device.type for field in fields(Batch)} == {"meta"}


def test_clips_whose_parts_do_not_fit_are_refused() -> None:
    frames, masks = np.zeros((2, 8, 9, 3), np.uint8), np.zeros((1, 2, 8, 9), np.bool_)
    assert Clip(frames, masks, np.array([1])).size == (8, 9)
    with pytest.raises(ValueError, match=r"frames are float64 \(2, 8, 9, 3\), expected uint8"):
        Clip(frames.astype(float), masks, np.array([1]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"masks are bool \(1, 1, 8, 9\), expected .*N, 2, 8, 9"):
        Clip(frames, masks[:, :1], np.array([1]))
    for ids in ([0], [1, 2]):
        with pytest.raises(ValueError, match=r"category_ids are .*, expected 1 from 1"):
            Clip(frames, masks, np.array(ids))
