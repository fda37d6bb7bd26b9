"""Masks that are made on a device, as runs, are those that a CPU makes pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from streamer.errors import DeviceError
from streamer.frame import Region
from streamer.mask import CroppedMask, Mask, RunLengthMask
from streamer.stitching import device_upsampling
from streamer.stitching.device_upsampling import DeviceUpsampler, upsampler_on
from streamer.stitching.merger import FrameMerger
from streamer.stitching.track import Identity
from streamer.stitching.upsampling import upsample_masks
from streamer.window import Prediction, Window
from tests.scripted_predictor import make_epoch, make_frame

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
masks = npst.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def borders_of(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.flatnonzero(np.diff(mask.ravel(order="F"), prepend=False, append=False))


@given(masks)
def test_a_mask_of_runs_is_the_cropped_one(mask: NDArray[np.bool_]) -> None:
    crop = CroppedMask.from_array(mask)
    if crop is None:
        assert not len(borders_of(mask))
        return
    runs = RunLengthMask((mask.shape[0], mask.shape[1]), borders_of(mask))
    # Before anything has drawn it.
    assert (runs.bbox_xywh, runs.area, runs.rle()) == (crop.bbox_xywh, crop.area, crop.rle())
    np.testing.assert_array_equal(runs.crop, crop.crop, strict=True)
    np.testing.assert_array_equal(runs.array(), mask, strict=True)
    for rows, columns in ((1, -2), (0, 3), (20, 0)):
        moved, expected = (each.shifted(rows, columns) for each in (runs, crop))
        assert (moved is None) == (expected is None)
        if moved is not None and expected is not None:
            np.testing.assert_array_equal(moved.array(), expected.array())


def test_a_run_of_many_columns_overflows_nothing() -> None:
    mask = np.zeros((3, 1000), np.bool_)
    mask[0] = mask[2, ::2] = True
    runs = RunLengthMask((3, 1000), borders_of(mask))
    np.testing.assert_array_equal(runs.array(), mask)
    np.testing.assert_array_equal(RunLengthMask((3, 1000), np.array([0, 3000])).array(), True)


def hills(count: int, shape: tuple[int, int]) -> list[NDArray[np.float32]]:
    """Logits of blobs, some of which reach the borders; every fourth has nothing."""
    rng = np.random.default_rng(0)
    y, x = np.ogrid[: shape[0], : shape[1]]
    logits = []
    for number in range(count):
        middle, radius = rng.uniform(0, shape, 2), rng.uniform(2, max(shape))
        distance = np.hypot(y - middle[0], x - middle[1]) + rng.normal(0, 1, shape)
        logits.append((-1.0 if number % 4 == 3 else radius - distance) * np.ones(shape, np.float32))
    return [each.astype(np.float32) for each in logits]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("at_once", [1, 60 * 90 * 3, 2**24])
@pytest.mark.parametrize("region", [Region(0, 0, 60, 90), Region(7, 20, 41, 33)])
def test_a_device_makes_the_same_masks(
    device: str, at_once: int, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_upsampling, "PIXELS", at_once)
    logits = hills(14, (19, 23))
    found = DeviceUpsampler(torch.device(device))(logits, region, (60, 90))
    expected = upsample_masks(logits, region, (60, 90))
    assert [mask is None for mask in found] == [mask is None for mask in expected]
    assert sum(mask is None for mask in found) == 3
    for one, other in zip(found, expected, strict=True):
        if one is not None and other is not None:
            np.testing.assert_array_equal(one.array(), other.array())
            assert one.rle() == other.rle()


@pytest.mark.parametrize("device", DEVICES)
def test_nothing_to_make_is_nothing(device: str) -> None:
    assert DeviceUpsampler(torch.device(device))([], Region(0, 0, 60, 90), (60, 90)) == []


def test_a_device_that_fails_is_named() -> None:
    with pytest.raises(DeviceError, match="meta failed on 2 masks of 90x60 pixels"):
        DeviceUpsampler(torch.device("meta"))(hills(2, (9, 9)), Region(0, 0, 60, 90), (60, 90))


def test_masks_are_made_where_the_network_runs() -> None:
    assert upsampler_on(torch.device("cpu")) is upsample_masks
    assert isinstance(upsampler_on(torch.device("cuda")), DeviceUpsampler)


def test_frames_that_leave_together_are_made_together() -> None:
    """A frame's masks are its own, also where the one before has none."""
    calls = []

    def upsample(
        logits: Sequence[NDArray[np.float32]], region: Region, size: tuple[int, int]
    ) -> list[Mask | None]:
        calls.append(len(logits))
        return DeviceUpsampler(torch.device("cpu"))(logits, region, size)

    tubes = np.stack(hills(12, (20, 40))).reshape(6, 2, 20, 40)
    presence = np.ones((6, 2), np.bool_)
    presence[1] = presence[4, 0] = False
    prediction = Prediction(
        scores=np.array([0.9, 0.8], np.float32),
        class_votes=np.zeros((2, 2), np.float32),
        embeddings=np.zeros((2, 4), np.float32),
        boxes=np.zeros((6, 2, 4), np.float32),
        presence=presence,
        masks=tubes,
        colours=np.zeros((6, 2, 0), np.float32),
    )
    epoch = make_epoch((60, 90))
    frames = tuple(make_frame(epoch, index) for index in range(6))
    window = Window(tuple(range(6)), 6, frames, 6)
    shown = []
    for upsampler in (upsample, upsample_masks):
        merger = FrameMerger(0, ["", "person"], upsample=upsampler)
        for frame in frames:
            merger.add(frame)
        results = merger.merge(window, prediction, [Identity(4, 1), Identity(2, 1)])
        shown.append([{i.track_id: i.segment.rle() for i in each.instances} for each in results])
    assert calls == [9]
    assert shown[0] == shown[1]
    assert [len(each) for each in shown[0]] == [2, 0, 2, 1, 1, 1]
