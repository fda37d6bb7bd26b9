"""`streamer.output` and `streamer.frame`: masks as crops, frames that check themselves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pycocotools import mask as coco_mask

from streamer.output import CroppedMask, FrameResult, Instance
from tests.frames import make_epoch, make_frame

masks = npst.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(masks)
def test_a_crop_is_the_whole_mask(mask: np.ndarray) -> None:
    crop = CroppedMask.from_array(mask)
    if crop is None:
        assert not mask.any()
        return
    assert np.array_equal(crop.array(), mask)
    assert crop.area == mask.sum()
    rle = crop.rle()
    assert np.array_equal(coco_mask.decode(rle), mask)
    assert rle == coco_mask.encode(np.asfortranarray(mask.view(np.uint8)))
    assert crop.rle() is rle
    assert list(coco_mask.toBbox(rle)) == list(crop.bbox_xywh)


@given(masks, st.integers(-15, 15), st.integers(-15, 15))
def test_shifting_moves_and_cuts(mask: np.ndarray, rows: int, columns: int) -> None:
    crop = CroppedMask.from_array(mask)
    if crop is None:
        return
    padded = np.pad(mask, 20)
    expected = np.roll(padded, (rows, columns), (0, 1))[20:-20, 20:-20]
    shifted = crop.shifted(rows, columns)
    assert np.array_equal(expected, np.zeros_like(mask) if shifted is None else shifted.array())


def test_a_label_map_stacks_later_instances_on_top() -> None:
    first, second = np.zeros((2, 4, 6), np.bool_)
    first[:3, :3] = True
    second[2:, 2:] = True
    instances = tuple(
        Instance(7 + i, 1, "person", 0.9, crop)
        for i, mask in enumerate((first, second))
        if (crop := CroppedMask.from_array(mask))
    )
    result = FrameResult(make_frame(0, make_epoch(size=(4, 6))), instances)
    assert result.labels().dtype == np.uint16
    assert result.labels()[0, 0] == 1
    assert result.labels()[2, 2] == 2
    assert result.labels()[3, 0] == 0
    assert np.array_equal(instances[1].mask(), second)
    assert instances[0].bbox_xywh == (0, 0, 3, 3)
    assert "area=9" in repr(instances[0].segment)


def test_a_frame_checks_its_arrays() -> None:
    frame = make_frame(3, make_epoch())
    assert repr(frame) == "Frame(3, epoch 0, 64x48, 0.300s)"
    with pytest.raises(ValueError, match="image is uint8"):
        dataclasses.replace(frame, pixels=frame.image[1:])
    with pytest.raises(ValueError, match="inputs are float64"):
        dataclasses.replace(frame, inputs=frame.inputs.astype(float))
    on_device = dataclasses.replace(frame, inputs=torch.from_numpy(frame.inputs))
    with pytest.raises(ValueError, match="inputs are float64"):
        dataclasses.replace(on_device, inputs=on_device.inputs.double())


def test_a_held_image_is_asked_for_only_when_it_is_looked_at() -> None:
    class Held:
        shape = (48, 64, 3)
        asked = 0

        def rgb(self) -> np.ndarray:
            self.asked += 1
            return np.zeros(self.shape, np.uint8)

    held = Held()
    frame = dataclasses.replace(make_frame(3, make_epoch()), pixels=held)
    moved = dataclasses.replace(frame, index=4)
    assert held.asked == 0
    assert moved.image.shape == (48, 64, 3)
    assert held.asked == 1
    with pytest.raises(ValueError, match=r"image is uint8 \(48, 64, 3\), expected uint8 \(24,"):
        dataclasses.replace(frame, epoch=make_epoch(size=(24, 32)))
