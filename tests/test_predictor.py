"""`streamer.predictor` and `streamer.device`: the network's edge gives what the network gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model import VisTR
from model.backbone import FrozenBatchNorm2d
from model.postprocess import slot_scores
from model.preprocess import normalise
from streamer import predictor as predictor_module
from streamer.colours import colour_shares, mask_colours
from streamer.device import (
    Expected,
    calculates_bf16,
    choose_device,
    choose_dtype,
    choose_threads,
    device_errors,
    load_network,
)
from streamer.encoding import EncodedFrame, encode_frames
from streamer.errors import CheckpointError, DeviceError
from streamer.predictor import VistrPredictor, box_logits
from streamer.scheduler import WindowScheduler
from streamer.window import Window
from tests.frames import make_epoch, make_frame
from tests.tiny_vistr import save_tiny_vistr, tiny_vistr

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
    encode = encode_frames
    encoded: list[int] = []

    def counting(net: VisTR, inputs: Sequence[NDArray[np.uint8]]) -> Iterator[EncodedFrame]:
        encoded.append(len(inputs))
        return encode(net, inputs)

    expected = [plain.predict(window) for window in (first, second)]
    monkeypatch.setattr(predictor_module, "encode_frames", counting)
    for window, outcome in zip((first, second), expected, strict=True):
        for count in range(len(window.new)):
            prepared.prepare(window.new[:count])
        prediction = prepared.predict(window)
        assert np.allclose(prediction.scores, outcome.scores, atol=1e-6)
        assert np.allclose(prediction.masks, outcome.masks, atol=1e-4)
    # Two passes, and what was left when the window was due; then one, and the last.
    assert encoded == [2, 2, 2, 2, 1]


def test_frames_that_fill_no_pass_wait(net: VisTR) -> None:
    (window,) = windows(5)
    predictor = VistrPredictor(net, threshold=0.0)
    predictor.prepare(window.new)  # two passes of two
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


def test_unwanted_categories_are_left_out(net: VisTR) -> None:
    (window,) = windows(6)
    every = VistrPredictor(net, threshold=0.0).predict(window)
    category = int(every.class_votes[0].argmax())
    kept = VistrPredictor(net, threshold=0.0, keep=[category]).predict(window)
    assert 0 < len(kept) <= len(every)
    assert (kept.class_votes.argmax(1) == category).all()
    others = np.delete(kept.class_votes, category, axis=1)
    assert not others.any()


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


def test_a_box_covers_the_centres_that_lie_in_it_and_one_at_least() -> None:
    boxes = torch.tensor([[[0.5, 0.5, 0.5, 0.5]], [[1.0, 0.0, 0.26, 0.3]], [[0.4, 0.6, 0.0, 0.0]]])
    inside = box_logits(boxes, (4, 8))[:, 0] > 0
    expected = torch.zeros(3, 4, 8, dtype=torch.bool)
    expected[0, 1:3, 2:6] = True
    expected[1, 0, 7] = True
    expected[2, 2, 3] = True
    assert torch.equal(inside, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_stay_close(dtype: torch.dtype) -> None:
    (window,) = windows(6)
    exact = VistrPredictor(tiny_vistr(frames=6, slots=4), 0.0).predict(window)
    other = VistrPredictor(tiny_vistr(frames=6, slots=4).to(dtype), 0.0).predict(window)
    assert other.scores.dtype == np.float32
    assert np.allclose(np.sort(other.scores), np.sort(exact.scores), atol=0.05)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"avx2": True}, torch.float32),
        ({"arm_bf16": True}, torch.float32),
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": True, "amx_bf16": True}, torch.bfloat16),
    ],
)
def test_auto_on_a_cpu_is_bf16_where_it_has_avx512_or_amx_for_it(
    found: dict[str, bool], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    cpu = torch.device("cpu")
    assert choose_dtype("auto", cpu) is expected
    assert choose_dtype("bf16", cpu) is torch.bfloat16
    assert choose_dtype("fp32", cpu) is torch.float32
    assert choose_device("cpu") == cpu


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "arm_bf16"])
def test_a_cpu_calculates_in_bf16_where_it_has_instructions_for_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    known = torch.cpu.get_capabilities()
    assert name in known or (known["architecture"] == "x86_64") == name.startswith("arm")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, name: False})
    assert not calculates_bf16(cpu)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, name: True})
    assert calculates_bf16(cpu)


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000\n", 8),
        ("", 8),
        ("1 0\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
    ],
)
def test_threads_are_those_that_the_container_may_use(
    quota: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    own = tmp_path / "own"
    own.write_text("9:cpu:/docker/7\n0::/system.slice/cam.service\n")
    service = tmp_path / "groups" / "system.slice" / "cam.service"
    service.mkdir(parents=True)
    for group in (service, tmp_path / "groups"):  # of a service, and of a container
        assert choose_threads("auto", tmp_path / "groups", own) == 8, "no quota is known"
        (group / "cpu.max").write_text(quota)
        assert choose_threads("auto", tmp_path / "groups", own) == expected
        assert choose_threads(5, tmp_path / "groups", own) == 5, "asked for"
        (group / "cpu.max").unlink()


@pytest.mark.parametrize("module", ["vistr.class_embed", "insmask_head.9"])
def test_answers_that_are_no_numbers_are_an_error(module: str) -> None:
    net = tiny_vistr(frames=6, slots=4)
    net.get_submodule(module).weight.data[:] = torch.nan
    with pytest.raises(DeviceError, match=r"answers with NaN or infinity in torch\.float32"):
        VistrPredictor(net, 0.0).predict(windows(6)[0])


def test_an_error_without_words_has_a_name() -> None:
    with (
        pytest.raises(DeviceError, match=r"cpu failed here: RuntimeError\(\)"),
        device_errors(torch.device("cpu"), "here"),
    ):
        raise RuntimeError


@pytest.mark.parametrize(
    "words",
    ["[enforce fail] can't allocate memory", "could not create a primitive", "std::bad_alloc"],
)
def test_no_memory_is_known_by_its_words(words: str) -> None:
    with (
        pytest.raises(DeviceError, match="cpu failed here: out of memory; wait"),
        device_errors(torch.device("cpu"), "here", "wait"),
    ):
        raise RuntimeError(words)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_asked_for_and_absent() -> None:
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(DeviceError, match="device is 'cuda'"):
        choose_device("cuda")


def test_weights_load_in_the_asked_for_precision(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_tiny_vistr(path, frames=6, slots=4)
    net = load_network(str(path), torch.device("cpu"), torch.float64, Expected())
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float64}
    with pytest.raises(CheckpointError, match="36"):
        load_network(str(path), torch.device("cpu"), torch.float32, Expected(frames=36))


def test_on_a_cpu_half_precision_leaves_the_small_backbone_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_tiny_vistr(path, frames=6, slots=4)
    exact, halved = (
        load_network(str(path), torch.device("cpu"), dtype, Expected())
        for dtype in (torch.float32, torch.bfloat16)
    )
    images = images_of(windows(6)[0], halved)
    for found, expected in zip(
        halved.vistr.backbone[0](images), exact.vistr.backbone[0](images), strict=True
    ):
        assert torch.equal(found, expected)
    assert halved.dtype == halved(images).masks.dtype == torch.bfloat16
    assert {parameter.dtype for parameter in halved.mask_head.parameters()} == {torch.bfloat16}


def test_a_loaded_network_is_prepared_and_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    plain = save_tiny_vistr(path, frames=6, slots=4).double()
    loaded = load_network(str(path), torch.device("cpu"), torch.float64, Expected())
    images = images_of(windows(6)[0], plain)
    for found, expected in zip(astuple(loaded(images)), astuple(plain(images)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not any(isinstance(module, FrozenBatchNorm2d) for module in loaded.modules())
    assert loaded.mask_head.lay2.weight.is_contiguous(memory_format=torch.channels_last)


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

    def exhausted(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(VisTR, "to", exhausted)
    with pytest.raises(DeviceError, match="cpu failed while loading the weights: out of memory"):
        load_network(None, torch.device("cpu"), torch.float32, Expected())


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
def test_cuda_agrees_with_the_cpu(tmp_path: Path) -> None:
    weights = tmp_path / "tiny.safetensors"
    save_tiny_vistr(weights, frames=6, slots=4)
    on_cpu, on_cuda = (
        VistrPredictor(load_network(str(weights), torch.device(d), torch.float32, Expected()), 0.0)
        for d in ("cpu", "cuda")
    )
    for window in windows(11):
        expected, actual = on_cpu.predict(window), on_cuda.predict(window)
        assert np.allclose(actual.scores, expected.scores, atol=1e-3)
        assert np.allclose(actual.masks, expected.masks, atol=2e-2)
