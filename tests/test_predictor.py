"""`streamer.predictor`: the network's edge gives what the network gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model import FrameFeatures, VisTR
from model.inference import optimise_for_inference
from model.postprocess import box_logits, slot_scores
from model.preprocess import normalise
from streamer import predictor as predictor_module
from streamer.errors import DeviceError
from streamer.frame_features import encode_passes
from streamer.predictor import VistrPredictor
from streamer.scheduler import WindowScheduler
from streamer.stitching.colour_histograms import colour_shares, mask_colours
from streamer.window import Window
from tests.frames import make_epoch, make_frame
from tests.tiny_vistr import tiny_vistr

EPOCH = make_epoch(size=(128, 192))
FRAMES = [make_frame(index, EPOCH) for index in range(12)]


@pytest.fixture(scope="module")
def net() -> VisTR:
    return tiny_vistr(frames=6, slots=4)


def windows(count: int, stride: int = 2) -> list[Window]:
    scheduler = WindowScheduler(6, stride)
    due = [window for frame in FRAMES[:count] if (window := scheduler.add(frame))]
    closing = scheduler.finish()
    return due + ([closing] if closing else [])


def images_of(window: Window, net: VisTR) -> torch.Tensor:
    inputs = np.stack([FRAMES[index].inputs for index in window.indices])
    return normalise(torch.from_numpy(inputs), next(net.parameters()).dtype)


def test_overlapping_windows_equal_the_plain_network(net: VisTR) -> None:
    predictor = VistrPredictor(net, threshold=0.0)
    for window in windows(11):
        prediction = predictor.predict(window)
        output = net(images_of(window, net))
        scores, _, _ = slot_scores(output.logits[: window.length])
        order = scores.argsort(descending=True)
        assert np.allclose(prediction.scores, scores[order], atol=1e-6)
        assert np.allclose(prediction.masks, output.masks[: window.length][:, order], atol=1e-4)
        assert np.allclose(prediction.boxes, output.boxes[: window.length][:, order], atol=1e-5)
        assert np.allclose(np.linalg.norm(prediction.embeddings, axis=1), 1, atol=1e-5)
        pixels = torch.from_numpy(np.stack([FRAMES[index].inputs for index in window.real]))
        colours = mask_colours(colour_shares(pixels), torch.from_numpy(prediction.masks))
        assert colours.any()
        assert np.allclose(prediction.colours, colours, atol=1e-4)
        assert np.allclose(prediction.class_votes.sum(1), 1)
        assert prediction.presence.all()


def test_the_backbone_sees_every_frame_once(net: VisTR, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = 0
    encode = VisTR.encode

    def counting(self: VisTR, images: torch.Tensor) -> object:
        nonlocal encoded
        encoded += len(images)
        return encode(self, images)

    monkeypatch.setattr(VisTR, "encode", counting)
    predictor = VistrPredictor(net, threshold=0.0)
    for window in windows(12):
        predictor.predict(window)
        assert set(predictor._encoded) == set(window.real)  # so memory does not grow
    assert encoded == 12
    predictor.close()
    assert not predictor._encoded


def test_frames_are_prepared_while_a_window_fills(
    net: VisTR, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, prepared = VistrPredictor(net, threshold=0.0), VistrPredictor(net, threshold=0.0)
    first, second = windows(9, stride=3)
    encode = encode_passes
    encoded: list[int] = []

    def counting(
        net: VisTR, inputs: Sequence[NDArray[np.uint8]]
    ) -> Iterator[tuple[torch.Tensor, FrameFeatures]]:
        encoded.append(len(inputs))
        return encode(net, inputs)

    expected = [plain.predict(window) for window in (first, second)]
    monkeypatch.setattr(predictor_module, "encode_passes", counting)
    for window, outcome in zip((first, second), expected, strict=True):
        for count in range(len(window.new)):
            prepared.encode_ahead(window.new[:count])
        prediction = prepared.predict(window)
        assert np.allclose(prediction.scores, outcome.scores, atol=1e-6)
        assert np.allclose(prediction.masks, outcome.masks, atol=1e-4)
    # Two passes, and what was left when the window was due; then one, and the last.
    assert encoded == [2, 2, 2, 2, 1]


def test_frames_that_fill_no_pass_wait(net: VisTR) -> None:
    (window,) = windows(5)
    predictor = VistrPredictor(net, threshold=0.0)
    predictor.encode_ahead(window.new)  # two passes of two
    assert set(predictor._encoded) == {0, 1, 2, 3}
    predictor.predict(window)
    assert set(predictor._encoded) == {0, 1, 2, 3, 4}


def test_a_short_clip_is_judged_by_its_real_frames(net: VisTR) -> None:
    (window,) = windows(4)
    prediction = VistrPredictor(net, threshold=0.0).predict(window)
    assert prediction.masks.shape[:2] == (4, 4)
    scores, _, _ = slot_scores(net(images_of(window, net)).logits[:4])
    assert np.allclose(np.sort(prediction.scores), np.sort(scores), atol=1e-6)


def test_slots_under_the_threshold_are_left_out(net: VisTR) -> None:
    (window,) = windows(6)
    every = VistrPredictor(net, threshold=0.0).predict(window)
    middle = float(every.scores[1:3].mean())
    some = VistrPredictor(net, threshold=middle).predict(window)
    assert len(some) == 2
    assert np.allclose(some.masks, every.masks[:, :2], atol=1e-4)
    none = VistrPredictor(net, threshold=1.0).predict(window)
    assert len(none) == 0
    assert none.masks.shape == (6, 0, *every.masks.shape[2:])


def test_unwanted_categories_are_left_out(net: VisTR, monkeypatch: pytest.MonkeyPatch) -> None:
    (window,) = windows(6)
    categories = torch.tensor([1, 1, 1, 1, 2, 2])[:, None].expand(6, 4)  # of frames and slots
    told = torch.ones(4), torch.ones(6, 4), categories
    monkeypatch.setattr(predictor_module, "slot_scores", lambda _: told)
    for keep, kept in ((None, [4 / 6, 2 / 6]), ([1], [4 / 6, 0]), ([1, 2], [4 / 6, 2 / 6])):
        prediction = VistrPredictor(net, threshold=1.0, keep=keep).predict(window)
        assert len(prediction) == 4
        assert np.allclose(prediction.class_votes[:, 1:3], kept)
    assert len(VistrPredictor(net, threshold=1.0, keep=[2]).predict(window)) == 0


def test_without_masks_the_heads_do_not_run_and_boxes_are_filled(
    net: VisTR, monkeypatch: pytest.MonkeyPatch
) -> None:
    (window,) = windows(6)
    every = VistrPredictor(net, threshold=0.0).predict(window)
    monkeypatch.setattr(VisTR, "segment", None)
    boxes = VistrPredictor(net, threshold=0.0, masks=False).predict(window)
    for name in ("scores", "boxes", "embeddings", "class_votes", "presence"):
        assert np.allclose(getattr(boxes, name), getattr(every, name), atol=1e-6), name
    expected = box_logits(torch.from_numpy(every.boxes), every.masks.shape[2:])
    assert np.array_equal(boxes.masks, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_stay_close(dtype: torch.dtype) -> None:
    (window,) = windows(6)
    exact = VistrPredictor(tiny_vistr(frames=6, slots=4), 0.0).predict(window)
    other = VistrPredictor(tiny_vistr(frames=6, slots=4).to(dtype), 0.0).predict(window)
    assert other.scores.dtype == np.float32
    assert np.allclose(np.sort(other.scores), np.sort(exact.scores), atol=0.05)


@pytest.mark.parametrize("module", ["vistr.class_embed", "insmask_head.9"])
def test_answers_that_are_no_numbers_are_an_error(module: str) -> None:
    net = tiny_vistr(frames=6, slots=4)
    net.get_submodule(module).weight.data[:] = torch.nan
    with pytest.raises(DeviceError, match=r"outputs NaN or infinity in torch\.float32"):
        VistrPredictor(net, 0.0).predict(windows(6)[0])


def test_running_out_of_memory_is_explained(net: VisTR, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_memory_for_a_kernel(*_: object) -> None:
        raise RuntimeError("could not create a primitive")

    too_large = (lambda *_: torch.empty(10**14), without_memory_for_a_kernel)  # in their own words
    for relate in too_large:
        monkeypatch.setattr(VisTR, "relate", relate)
        with pytest.raises(
            DeviceError, match=r"window of 6 frames: out of memory; a smaller --short_s"
        ):
            VistrPredictor(net, 0.5).predict(windows(6)[0])


def test_other_failures_of_the_device_are_one_line(
    net: VisTR, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_…")

    monkeypatch.setattr(VisTR, "relate", broken)
    with pytest.raises(DeviceError) as caught:
        VistrPredictor(net, 0.5).predict(windows(6)[0])
    expected = "cpu failed on a window of 6 frames: CUDA error: unspecified launch failure"
    assert str(caught.value) == expected


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # as in a stream
    nets = {device: tiny_vistr(frames=6, slots=4) for device in ("cpu", "cuda")}
    for device, net in nets.items():
        optimise_for_inference(net, torch.device(device), torch.float32)
    on_cpu, on_cuda = (VistrPredictor(net, 0.0) for net in nets.values())
    for window in windows(11):
        expected, actual = on_cpu.predict(window), on_cuda.predict(window)
        assert np.allclose(actual.scores, expected.scores, atol=1e-3)
        assert np.allclose(actual.masks, expected.masks, atol=2e-2)
