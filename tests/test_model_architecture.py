from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model import LIGHT, RESNET50, RESNET101, architecture
from streamer import config


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
