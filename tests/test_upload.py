"""What is uploaded arrives, also while the device is busy and more is on its way."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamer.upload import upload


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_become_one_tensor(device: str, dtype: type) -> None:
    arrays = [np.full((3, 5), number, dtype) for number in range(4)]
    uploaded = upload(arrays, torch.device(device))
    assert uploaded.device.type == device
    np.testing.assert_array_equal(uploaded.cpu().numpy(), np.stack(arrays), strict=True)


@pytest.mark.gpu
def test_uploads_are_used_in_order_while_the_device_is_behind() -> None:
    """Many times as many as may lie in memory at once if one took another's too soon."""
    cuda = torch.device("cuda")
    heavy = torch.randn(4096, 4096, device=cuda)
    sums = []
    for number in range(200):
        heavy = torch.tanh(heavy @ heavy)  # the device falls behind
        frames = upload([np.full((480, 640, 3), number, np.uint8)] * 4, cuda)
        sums.append(frames.float().mean())
        del frames
    assert [round(float(each)) for each in sums] == list(range(200))
