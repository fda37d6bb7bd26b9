from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from model import LIGHT, Architecture, VisTR, mask_head, vistr
from model.initialise import random_tensors
from tests.reference_vistr import reference_vistr
from tests.tiny_vistr import tiny_vistr

SMALL_RESNET = Architecture(
    backbone="resnet18",
    hidden_dim=96,
    ffn_dim=80,
    encoder_layers=2,
    decoder_layers=2,
    num_classes=7,
    frames=3,
    slots=2,
)


def exact_vistr(architecture: Architecture, seed: int = 0) -> VisTR:
    """In float64, with nothing left at a neutral value: norms, biases and offsets vary too."""
    net = VisTR(architecture)
    generator = torch.Generator().manual_seed(seed)
    tensors = random_tensors(architecture, seed)
    for key, tensor in tensors.items():
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim == 1:
            tensor.add_(0.1 * noise.clamp(-2, 2))
        elif "conv_offset" in key:
            tensor.add_(noise)
    net.load_state_dict(tensors)
    return net.to(torch.float64).eval().requires_grad_(False)


def random_images(frames: int, height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(frames, 3, height, width, dtype=torch.float64, generator=generator)


def assert_equals_reference(net: VisTR, images: Tensor) -> None:
    output = net(images)
    expected = reference_vistr(
        net.state_dict(),
        images,
        backbone=net.architecture.backbone,
        heads=net.architecture.heads,
        dilation=net.architecture.dilation,
    )
    torch.testing.assert_close(output.logits, expected.logits, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(output.boxes, expected.boxes, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(output.masks, expected.masks, atol=1e-6, rtol=1e-6)


@settings(max_examples=6, phases=[Phase.generate])
@given(height=st.integers(1, 70), width=st.integers(1, 70), seed=st.integers(0, 9))
def test_equals_the_slow_reference_at_any_size(height: int, width: int, seed: int) -> None:
    net = exact_vistr(SMALL_RESNET, seed)
    assert_equals_reference(net, random_images(3, height, width, seed))


@pytest.mark.parametrize(
    "architecture",
    [
        replace(LIGHT, frames=5, slots=3),
        replace(SMALL_RESNET, backbone="resnet50", dilation=True, heads=6),
        replace(SMALL_RESNET, frames=1, slots=1, backbone="mobilenet_v2"),
    ],
    ids=["light", "dilated", "one_frame"],
)
def test_equals_the_slow_reference_in_every_architecture(architecture: Architecture) -> None:
    assert_equals_reference(exact_vistr(architecture), random_images(architecture.frames, 45, 67))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    net = exact_vistr(replace(SMALL_RESNET, frames=5, slots=4))
    images = random_images(5, 40, 56)
    whole = net(images).masks
    # 140 pixels a mask: two frames of a slot at once in the 2-D head, three slots in the 3-D head.
    monkeypatch.setattr(mask_head, "chunk_pixels", lambda _: 300)
    monkeypatch.setattr(vistr, "chunk_pixels", lambda _: 3 * 5 * 140)
    torch.testing.assert_close(net(images).masks, whole)


def test_features_of_a_frame_do_not_depend_on_its_neighbours() -> None:
    net = exact_vistr(SMALL_RESNET)
    images = random_images(3, 33, 47)
    together = net.encode(images)
    for t in range(3):
        alone = net.encode(images[t : t + 1])
        torch.testing.assert_close(alone.projected, together[t].projected)
        torch.testing.assert_close(alone.adapted, together[t].adapted)


def test_slots_do_not_depend_on_each_other() -> None:
    net = exact_vistr(replace(SMALL_RESNET, slots=4))
    state = net.relate(net.encode(random_images(3, 33, 47)))
    everything = net.segment(state, range(4))
    some = net.segment(state, [3, 1])
    torch.testing.assert_close(some, everything[:, [3, 1]])


def test_no_slots_give_an_empty_tensor() -> None:
    net = tiny_vistr()
    state = net.relate(net.encode(torch.zeros(4, 3, 33, 50)))
    masks = net.segment(state, [])
    assert masks.shape == (4, 0, 9, 13)
    assert masks.dtype == torch.float32


def test_shapes_are_as_documented() -> None:
    net = tiny_vistr(frames=5, slots=2, classes=3)
    features = net.encode(torch.zeros(5, 3, 33, 50))
    state = net.relate(features)
    assert state.logits.shape == (5, 2, 5)
    assert state.boxes.shape == (5, 2, 4)
    assert state.embeddings.shape == (5, 2, 48)
    assert state.memory.shape == features.projected.shape == (5, 48, 2, 2)
    assert [tuple(level.shape) for level in features.adapted] == [
        (5, 24, 3, 4),
        (5, 12, 5, 7),
        (5, 6, 9, 13),
    ]
    assert net.segment(state, [1]).shape == (5, 1, 9, 13)


def test_what_others_ask_of_it() -> None:
    net = tiny_vistr(frames=5, slots=2, classes=3, short_side=48)
    assert (net.frames, net.slots, net.short_side) == (5, 2, 48)
    assert net.categories == ("background", "class_1", "class_2", "class_3")
    assert len(net.categories) == net.architecture.num_classes


def test_names_must_fit_the_classes() -> None:
    with pytest.raises(ValueError, match="categories has 2 names; the weights have 6 classes"):
        VisTR(SMALL_RESNET, ("cat", "dog"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near(dtype: torch.dtype) -> None:
    net = tiny_vistr()
    images = random_images(4, 48, 64).float()
    exact = net(images)
    output = tiny_vistr().to(dtype)(images.to(dtype))
    assert output.masks.dtype == output.logits.dtype == dtype
    assert output.boxes.dtype == torch.float32
    assert (output.boxes - exact.boxes).abs().max() < 0.05
    assert (output.masks - exact.masks).abs().mean() < 0.1 * exact.masks.std()


def test_moving_to_another_precision_and_size_leaves_no_stale_positions() -> None:
    net = tiny_vistr()
    for height, width, dtype in ((64, 96, torch.float32), (96, 64, torch.float64)):
        images = random_images(4, height, width).to(dtype)
        masks = net.to(dtype)(images).masks
        torch.testing.assert_close(masks, tiny_vistr().to(dtype)(images).masks)


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(4, 64, 96, 3),
        torch.zeros(3, 64, 96),
        torch.zeros(4, 3, 0, 96),
        torch.zeros(0, 3, 64, 96),
        torch.zeros(4, 3, 64, 96, dtype=torch.uint8),
        torch.zeros(4, 3, 64, 96, dtype=torch.float64),
    ],
)
def test_wrong_images_are_named(images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected torch.float32 \[n, 3, H, W\]"):
        tiny_vistr().encode(images)


def test_a_window_has_exactly_t_frames() -> None:
    net = tiny_vistr()
    with pytest.raises(ValueError, match="features are of 3 frames, expected 4"):
        net.relate(net.encode(torch.zeros(3, 3, 32, 32)))


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ([0, 3], r"slots are \[0, 3\], expected integers from 0 to 2"),
        ([-1], r"slots are \[-1\], expected integers from 0 to 2"),
        (torch.tensor([1]), r"slots are \[tensor\(1\)\], expected integers"),
        ([0.5], r"slots are \[0.5\], expected integers"),
    ],
)
def test_wrong_slots_are_named(slots: Sequence[int], message: str) -> None:
    net = tiny_vistr()
    state = net.relate(net.encode(torch.zeros(4, 3, 32, 32)))
    with pytest.raises(ValueError, match=message):
        net.segment(state, slots)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_cuda_gives_what_the_cpu_gives(dtype: torch.dtype) -> None:
    net = tiny_vistr()
    images = random_images(4, 64, 96)
    exact = net.to(torch.float64)(images)
    net.to("cuda", dtype)
    output = net(images.to("cuda", dtype))
    assert output.masks.dtype == dtype
    error = (output.masks.cpu() - exact.masks).abs().mean() / exact.masks.std()
    assert error < (0.1 if dtype in (torch.bfloat16, torch.float16) else 0.01)
