from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model import Architecture, load_vistr
from model.initialise import random_tensors
from tests.checkpoints import TINY_RESNET, assert_same_weights, refusal, save_published
from tests.tiny_vistr import save_tiny_vistr


@pytest.mark.parametrize(
    "architecture",
    [
        TINY_RESNET,
        replace(TINY_RESNET, backbone="resnet34", heads=8, encoder_layers=2),
        replace(TINY_RESNET, backbone="resnet50", ffn_dim=16),
        replace(TINY_RESNET, backbone="mobilenet_v2", slots=1, num_classes=41, hidden_dim=96),
    ],
    ids=["resnet18", "resnet34", "resnet50", "mobilenet_v2"],
)
def test_the_tensors_tell_the_architecture(tmp_path: Path, architecture: Architecture) -> None:
    tensors = random_tensors(architecture, seed=1)
    net = load_vistr(save_published(tmp_path / "net.pth", tensors), backbone=architecture.backbone)
    assert net.architecture == architecture
    assert_same_weights(net, tensors)


def test_pickled_arguments_tell_the_rest(tmp_path: Path) -> None:
    architecture = replace(TINY_RESNET, backbone="resnet50", frames=4, slots=3, dilation=True)
    arguments = Namespace(num_frames=4, num_queries=12, dilation=True, lr=1e-4, pre_norm=False)
    path = save_published(
        tmp_path / "net.pth", random_tensors(architecture, 0), args=arguments, epoch=17
    )
    assert load_vistr(path).architecture == architecture


@pytest.mark.parametrize(
    ("request_", "window"),
    [
        ({}, (36, 2)),
        ({"slots": 6}, (12, 6)),
        ({"frames": 8}, (8, 9)),
        ({"frames": 18, "slots": 4}, (18, 4)),
    ],
)
def test_what_nobody_says_has_defaults(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    request_: dict[str, int],
    window: tuple[int, int],
) -> None:
    path = save_published(tmp_path / "net.pth", random_tensors(TINY_RESNET, 0))
    net = load_vistr(path, **request_)
    assert (net.frames, net.slots) == window
    assert net.short_side == 300
    # What is not as published is not to be checked, and may be a mistake.
    warned = "does not say what its 72 queries are; taken for {} frames of {} slots"
    expected = [warned.format(*window)] if window[0] != 36 else []
    assert [message.partition(": ")[2].partition(",")[0] for message in caplog.messages] == expected


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"frames": 7},
            "'vistr.query_embed.weight' has 72 rows, expected frames times slots, not 7",
        ),
        ({"frames": 36, "slots": 3}, "has 72 rows, expected frames times slots, not 36 times 3"),
        ({"slots": 7}, "has 72 rows, expected frames times slots, not 36 times 7"),
        ({"slots": 0}, "has 72 rows, expected frames times slots, not 36 times 0"),
        ({"frames": 0}, "has 72 rows, expected frames times slots, not 0 times a whole number"),
        ({"frames": -36, "slots": -2}, "expected frames times slots, not -36 times -2"),
    ],
)
def test_a_window_that_does_not_fit_is_refused(
    tmp_path: Path, request_: dict[str, Any], message: str
) -> None:
    path = save_published(tmp_path / "net.pth", random_tensors(TINY_RESNET, 0))
    assert message in refusal(path, **request_)


def test_a_request_that_contradicts_the_metadata_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_tiny_vistr(path, frames=4, slots=3, classes=2)
    assert refusal(path, frames=6) == "frames is 4 in the weights, not 6"
    assert refusal(path, slots=2) == "slots is 3 in the weights, not 2"
    assert refusal(path, categories=("cat", "dog")).startswith(
        "categories is ('class_1', 'class_2'"
    )
    assert len(refusal(path, categories=("x" * 3000, "dog"))) < 200  # a file that is no list
    assert load_vistr(path, frames=4, slots=3, categories=["class_1", "class_2"]).frames == 4
