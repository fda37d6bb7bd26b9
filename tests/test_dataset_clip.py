"""`streamer.dataset.clip`: the published protocol, for videos that fit one window."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from model import FrameFeatures, VisTR, WindowState, load_vistr
from model.preprocess import normalise
from streamer.dataset.clip import ClipObject, clip_entries, segment_clip
from streamer.errors import DeviceError
from streamer.mask import CroppedMask, rle_of_borders
from tests.datasets import assert_equal_results, pictures
from tests.golden_case import golden_case
from tests.reference_clip import clip_results
from tests.tiny_vistr import tiny_vistr

INPUTS = pictures(6, (64, 96))
SIZE = (50, 75)


@pytest.fixture(scope="module")
def net() -> VisTR:
    return tiny_vistr(frames=6, slots=4)


@pytest.mark.parametrize("length", [1, 4, 6])
def test_a_clip_equals_the_plain_network_on_its_cyclic_repetition(net: VisTR, length: int) -> None:
    repeated = [INPUTS[position % length] for position in range(6)]
    output = net(normalise(torch.from_numpy(np.stack(repeated)), torch.float32))
    expected = clip_results(output, length, SIZE)
    frames: list[None] = []
    found = segment_clip(net, INPUTS[:length], SIZE, lambda: frames.append(None))
    assert len(frames) == length
    assert len(found) == len(expected) == 4  # every slot, whatever its score
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.category_id == theirs.category_id
        assert mine.score == pytest.approx(theirs.score, abs=1e-5)
        assert len(mine.masks) == length
        for rle, mask in zip(mine.masks, theirs.masks, strict=True):
            assert (rle is None) == (mask is None)
            assert rle is None or np.mean(coco_mask.decode(cast("Any", rle)) != mask) < 1e-3


def test_slots_without_a_pixel_are_dropped(net: VisTR, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = VisTR.segment

    def hide_the_second(*arguments: Any) -> torch.Tensor:
        low = segment(*arguments).clone()
        low[:2, 1] = -1  # the other frames of the window only repeat these two
        return low

    every = segment_clip(net, INPUTS[:2], SIZE)
    monkeypatch.setattr(VisTR, "segment", hide_the_second)
    assert segment_clip(net, INPUTS[:2], SIZE) == [every[0], *every[2:]]


def test_a_slot_has_no_mask_in_a_frame_of_hardly_any_score(
    net: VisTR, monkeypatch: pytest.MonkeyPatch
) -> None:
    relate = VisTR.relate

    def see_nothing_in_the_second(self: VisTR, features: FrameFeatures) -> WindowState:
        state = relate(self, features)
        state.logits[1, 2, -1] += 30
        return state

    expected = [list(found.masks) for found in segment_clip(net, INPUTS[:3], SIZE)]
    expected[2][1] = None
    monkeypatch.setattr(VisTR, "relate", see_nothing_in_the_second)
    assert [list(found.masks) for found in segment_clip(net, INPUTS[:3], SIZE)] == expected


def test_the_backbone_sees_only_real_frames(net: VisTR, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = VisTR.encode

    def counting(self: VisTR, images: torch.Tensor) -> object:
        encoded.append(len(images))
        return encode(self, images)

    monkeypatch.setattr(VisTR, "encode", counting)
    segment_clip(net, INPUTS[:2], SIZE)
    assert encoded == [2]


def test_more_than_a_window_is_no_clip(net: VisTR) -> None:
    with pytest.raises(ValueError, match="7 inputs, expected from 1 to 6"):
        segment_clip(net, [*INPUTS, INPUTS[0]], SIZE)


def test_a_device_that_fails_is_named(net: VisTR, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VisTR, "relate", lambda *_: torch.empty(10**14))
    with pytest.raises(DeviceError, match="cpu failed on a window of 6 frames: out of memory"):
        segment_clip(net, INPUTS, SIZE)


@pytest.mark.parametrize("module", ["vistr.class_embed", "insmask_head.9"])
def test_answers_that_are_no_numbers_are_an_error(module: str) -> None:
    net = tiny_vistr(frames=6, slots=4)
    net.get_submodule(module).weight.data[:] = torch.nan
    with pytest.raises(DeviceError, match=r"outputs NaN or infinity in torch\.float32"):
        segment_clip(net, INPUTS[:2], SIZE)


def test_entries_are_as_published() -> None:
    shape = np.zeros((4, 6), np.bool_)
    shape[1:3, 2:5] = True
    mask = CroppedMask.from_array(shape)
    assert mask is not None
    masks = mask.rle(), None, rle_of_borders((4, 6), np.empty(0, np.int64))
    [entry] = clip_entries(31, [ClipObject(0.123456789, 0, masks)])
    first, under_the_cut, second = entry.pop("segmentations")
    assert entry == {"video_id": 31, "score": 0.123456789, "category_id": 0}
    assert under_the_cut is None
    assert isinstance(first["counts"], str)
    assert second["size"] == [4, 6]
    assert np.array_equal(coco_mask.decode(first), shape)
    assert not coco_mask.decode(second).any()


@pytest.mark.slow
def test_the_golden_case_of_resnet50(tmp_path: Path) -> None:
    """Its results are larger than its frames, which a data set's never are."""
    case = golden_case("vistr_r50_64x96", 0)
    path = tmp_path / "r50.pth"
    torch.save({"model": case.weights(), "args": Namespace(num_frames=36, num_queries=360)}, path)
    net = load_vistr(path, backbone="resnet50").to(torch.float64)
    instances = segment_clip(net, list(case.arrays["frames"]), (120, 180))
    assert_equal_results(clip_entries(case.results[0]["video_id"], instances), case.results)
