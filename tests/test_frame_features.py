"""`streamer.frame_features`: passes of the backbone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from model import FrameFeatures, VisTR
from model.cuda_graphs import GraphedVisTR
from streamer import frame_features
from streamer.frame_features import encode_passes, frames_per_pass, pass_length, stack_inputs
from tests.frames import make_epoch, make_frame
from tests.tiny_vistr import tiny_vistr

EPOCH = make_epoch(size=(128, 192))
FRAMES = [make_frame(index, EPOCH) for index in range(12)]


@pytest.fixture(scope="module")
def net() -> VisTR:
    return tiny_vistr(frames=6, slots=4)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_inputs_may_lie_on_the_device_already(device: str) -> None:
    arrays = [frame.inputs for frame in FRAMES[:3]]
    expected = torch.from_numpy(np.stack(arrays))
    tensors = [torch.from_numpy(array).to(device) for array in arrays]
    for inputs in (arrays, tensors, [arrays[0], *tensors[1:]]):
        stacked = stack_inputs(inputs, torch.device(device))
        assert stacked.device.type == device
        assert torch.equal(stacked.cpu(), expected)


@pytest.mark.parametrize("count", [1, 6, 8])
def test_a_recorded_backbone_sees_passes_of_one_length(
    net: VisTR, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other length would be recorded by itself."""
    passes: list[int] = []

    def encode(_: GraphedVisTR, images: torch.Tensor) -> FrameFeatures:
        passes.append(len(images))
        return net.encode(images)

    recorded = object.__new__(GraphedVisTR)
    recorded._net = net
    monkeypatch.setattr(GraphedVisTR, "encode", encode)
    inputs = [frame.inputs for frame in FRAMES[:count]]
    with torch.inference_mode():
        expected = FrameFeatures.cat([features for _, features in encode_passes(net, inputs)])
        pixels, found = zip(*encode_passes(recorded, inputs), strict=True)
    assert set(passes) == {6}
    assert torch.equal(torch.cat(pixels), torch.from_numpy(np.stack(inputs)))
    assert torch.allclose(FrameFeatures.cat(found).projected, expected.projected, atol=1e-3)


@pytest.mark.parametrize(("backbone", "frames"), [("mobilenet_v2", 2), ("resnet18", 6)])
def test_few_frames_go_through_a_light_backbone_at_once(backbone: str, frames: int) -> None:
    net = VisTR(replace(tiny_vistr().architecture, backbone=backbone))
    assert frames_per_pass(net) == frames


@pytest.mark.parametrize(
    ("waiting", "pixels", "frames"),
    [
        *((40, 300 * 266, 36), (35, 300 * 266, 12), (11, 300 * 266, 6), (1, 300 * 266, 6)),
        *((40, 300 * 800, 12), (40, 600 * 800, 6)),
    ],
)
def test_on_cuda_a_pass_is_as_long_as_what_waits_and_memory_allow(
    net: VisTR, waiting: int, pixels: int, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_features, "_is_on_cuda", lambda _: True)
    assert pass_length(net, waiting, pixels) == frames


def test_on_a_cpu_passes_are_short_whatever_waits(net: VisTR) -> None:
    assert pass_length(net, 40, 300 * 533) == 2
