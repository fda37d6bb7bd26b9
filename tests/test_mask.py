"""`streamer.mask`: masks as crops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pycocotools import mask as coco_mask

from streamer.mask import CroppedMask

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


def test_a_whole_mask_lies_row_by_row() -> None:
    mask = CroppedMask.from_array(np.eye(5, 7, dtype=np.bool_))
    assert mask is not None
    assert mask.array().flags.c_contiguous
