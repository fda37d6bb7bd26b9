"""Arrays on their way from the host to a device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def upload(arrays: Sequence[NDArray[Any]], device: torch.device) -> Tensor:
    """Arrays as one tensor on a device.

    To CUDA they go from pinned memory and on a stream of their own: the host does not wait, and
    they need not wait for what the device still computes, while what follows on the caller's stream
    waits for them.

    Args:
        arrays: At least one, of the same shape and type.
        device: Where to.

    Returns:
        [n, *shape], of their type.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-streams
    """
    shape = (len(arrays), *arrays[0].shape)
    on_cuda = device.type == "cuda"
    dtype = torch.from_numpy(np.empty(0, arrays[0].dtype)).dtype
    host = torch.empty(shape, dtype=dtype, device="cpu", pin_memory=on_cuda)
    np.stack(arrays, out=host.numpy())
    if not on_cuda:
        return host.to(device)
    callers, own = torch.cuda.current_stream(device), _stream(device)
    with torch.cuda.stream(own):
        uploaded = host.to(device, non_blocking=True)
    callers.wait_stream(own)
    # Its memory is of `own`, which must not reuse it before the caller's stream is done with it.
    uploaded.record_stream(callers)
    return uploaded


@lru_cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
