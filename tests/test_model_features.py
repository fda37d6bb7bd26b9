from __future__ import annotations

import numpy as np
import pytest
import torch

from model import FrameFeatures
from tests.tiny_vistr import tiny_vistr


def test_features_index_and_join() -> None:
    features = tiny_vistr().encode(torch.rand(4, 3, 32, 64))
    joined = FrameFeatures.cat([features[-1], features[1:3], features[0]])
    assert (len(features), len(joined), len(features[3])) == (4, 4, 1)
    assert len(features[np.int64(3)]) == len(features[np.int8(-1)]) == 1
    order = [3, 1, 2, 0]
    assert torch.equal(joined.projected, features.projected[order])
    for level, original in zip(joined.adapted, features.adapted, strict=True):
        assert torch.equal(level, original[order])
    assert repr(features[0]).startswith("FrameFeatures(1 frames of torch.float32: projected [48, 1")
    with pytest.raises(IndexError):
        features[4]


def test_features_of_different_sizes_do_not_join() -> None:
    net = tiny_vistr()
    wide, tall = net.encode(torch.zeros(1, 3, 32, 64)), net.encode(torch.zeros(1, 3, 64, 32))
    with pytest.raises(
        ValueError, match=r"different sizes \(at stride 4: \[\(8, 16\), \(16, 8\)\]"
    ):
        FrameFeatures.cat([wide, tall])
    with pytest.raises(ValueError, match="at least one frame"):
        FrameFeatures.cat([])
