"""`streamer.output`: instances of a frame, and all of them as one map."""

from __future__ import annotations

import numpy as np

from streamer.mask import CroppedMask
from streamer.output import FrameResult, Instance
from tests.frames import make_epoch, make_frame


def test_a_label_map_stacks_later_instances_on_top() -> None:
    first, second = np.zeros((2, 4, 6), np.bool_)
    first[:3, :3] = True
    second[2:, 2:] = True
    instances = tuple(
        Instance(7 + i, 1, "person", 0.9, crop)
        for i, mask in enumerate((first, second))
        if (crop := CroppedMask.from_array(mask))
    )
    result = FrameResult(make_frame(0, make_epoch(size=(4, 6))), instances)
    assert result.labels().dtype == np.uint16
    assert result.labels()[0, 0] == 1
    assert result.labels()[2, 2] == 2
    assert result.labels()[3, 0] == 0
    assert np.array_equal(instances[1].mask(), second)
    assert instances[0].bbox_xywh == (0, 0, 3, 3)
    assert "area=9" in repr(instances[0].segment)
