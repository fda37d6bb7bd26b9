"""`streamer.frame`: frames that check themselves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.frames import make_epoch, make_frame


def test_a_frame_checks_its_arrays() -> None:
    frame = make_frame(3, make_epoch())
    assert repr(frame) == "Frame(3, epoch 0, 64x48, 0.300s)"
    with pytest.raises(ValueError, match="image is uint8"):
        dataclasses.replace(frame, pixels=frame.image[1:])
    with pytest.raises(ValueError, match="inputs are float64"):
        dataclasses.replace(frame, inputs=frame.inputs.astype(float))
    on_device = dataclasses.replace(frame, inputs=torch.from_numpy(frame.inputs))
    with pytest.raises(ValueError, match="inputs are float64"):
        dataclasses.replace(on_device, inputs=on_device.inputs.double())


def test_a_held_image_is_asked_for_only_when_it_is_looked_at() -> None:
    class Held:
        shape = (48, 64, 3)
        asked = 0

        def rgb(self) -> np.ndarray:
            self.asked += 1
            return np.zeros(self.shape, np.uint8)

    held = Held()
    frame = dataclasses.replace(make_frame(3, make_epoch()), pixels=held)
    moved = dataclasses.replace(frame, index=4)
    assert held.asked == 0
    assert moved.image.shape == (48, 64, 3)
    assert held.asked == 1
    with pytest.raises(ValueError, match=r"image is uint8 \(48, 64, 3\), expected uint8 \(24,"):
        dataclasses.replace(frame, epoch=make_epoch(size=(24, 32)))
