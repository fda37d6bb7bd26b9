"""Parity with the published network, judged in float64."""

from __future__ import annotations

from argparse import Namespace

import pytest
import torch
from torch import Tensor

from model import FrameFeatures, VisTR, VisTROutput, load_vistr
from model.preprocess import normalise
from tests.datasets import tube_iou
from tests.golden_case import GoldenCase, golden_case
from tests.reference_clip import clip_results
from tests.vis_files import rle

Loaded = tuple[GoldenCase, VisTR, Tensor]


@pytest.fixture(
    scope="module",
    params=[
        ("vistr_r50_64x96", 0, "resnet50"),
        pytest.param(("vistr_r101_96x64", 3, "resnet101"), marks=pytest.mark.slow),
    ],
    ids=["r50", "r101"],
)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    name, salt, backbone = request.param
    case = golden_case(name, salt)
    path = tmp_path_factory.mktemp("golden") / f"{name}.pth"
    torch.save({"model": case.weights(), "args": Namespace(num_frames=36, num_queries=360)}, path)
    net = load_vistr(path, backbone=backbone)
    path.unlink()
    return case, net.to(torch.float64), normalise(case.tensor("frames"), torch.float64)


def test_the_plain_call_matches(loaded: Loaded) -> None:
    case, net, images = loaded
    output = net(images)
    assert _largest_error(output.logits, case.tensor("logits")) < 1e-4
    assert _largest_error(output.boxes, case.tensor("boxes")) < 1e-4
    assert _largest_error(output.masks, case.tensor("masks")) < 1e-4


def test_three_stages_with_features_cached_frame_by_frame_match(loaded: Loaded) -> None:
    case, net, images = loaded
    cached = [net.encode(images[t : t + 1]) for t in range(net.frames)]
    state = net.relate(FrameFeatures.cat(cached))
    kept = [7, 0, 4]
    masks = net.segment(state, kept)
    assert _largest_error(state.logits, case.tensor("logits")) < 1e-4
    assert _largest_error(state.boxes, case.tensor("boxes")) < 1e-4
    assert _largest_error(masks, case.tensor("masks")[:, kept]) < 1e-4


def test_post_processing_matches(loaded: Loaded) -> None:
    case, _, _ = loaded
    output = VisTROutput(case.tensor("logits"), case.tensor("boxes"), case.tensor("masks"))
    height, width = case.results[0]["segmentations"][0]["size"]
    instances = clip_results(output, 36, (height, width))
    assert [instance.category_id for instance in instances] == [
        result["category_id"] for result in case.results
    ]
    for instance, result in zip(instances, case.results, strict=True):
        assert instance.score == pytest.approx(result["score"], abs=1e-4)
        masks = [mask if mask is None else rle(mask) for mask in instance.masks]
        assert tube_iou(masks, result["segmentations"]) >= 0.999


def _largest_error(found: Tensor, golden: Tensor) -> float:
    assert found.shape == golden.shape
    return float((found - golden).abs().max())
