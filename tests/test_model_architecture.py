from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import model
from model import LIGHT, RESNET50, RESNET101, architecture
from streamer import config
from tests.processes import words_of


def test_presets_are_as_published() -> None:
    assert RESNET50.queries == LIGHT.queries == 360
    assert RESNET50.backbone_channels == (256, 512, 1024, 2048)
    assert replace(RESNET50, backbone="resnet101") == RESNET101


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "vgg16"}, "backbone is 'vgg16'; known: resnet18, resnet34, resnet50"),
        ({"frames": 0}, "frames is 0; expected at least 1"),
        ({"slots": -1}, "slots is -1; expected at least 1"),
        ({"hidden_dim": 256}, "hidden_dim is 256; expected a multiple of 48 and of the 8 heads"),
        ({"heads": 7}, "hidden_dim is 384; expected a multiple of 48 and of the 7 heads"),
        ({"backbone": "mobilenet_v2", "dilation": True}, "dilation is on; only resnet50 and"),
    ],
)
def test_what_cannot_be_built_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(RESNET50, **change)


def test_a_command_line_allows_the_same_inputs() -> None:
    in_config = (config.MIN_SHORT_SIDE, config.MAX_SHORT_SIDE)
    assert in_config == (architecture.MIN_SHORT_SIDE, architecture.MAX_SHORT_SIDE)


def test_what_the_package_names_is_there() -> None:
    assert [name for name in model.__all__ if not hasattr(model, name)] == []
    with pytest.raises(AttributeError, match="module 'model' has no attribute 'VisTr'"):
        getattr(model, "VisTr")  # noqa: B009 - mypy knows that it is not there


def test_what_needs_no_network_comes_without_pytorch() -> None:
    code = "import sys, model.categories, training.composer; print('torch' in sys.modules)"
    assert words_of(code, {}, ()) == ["False"]
