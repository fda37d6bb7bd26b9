"""A video that fits one window, segmented and scored as the published code does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model import FrameFeatures, VisTR, VisTROutput
from model.postprocess import ClipInstance, clip_results
from streamer.device import SMALLER_INPUT, device_errors
from streamer.output import encode_rle, rle_as_json
from streamer.predictor import encode_frames


@torch.inference_mode()
def segment_clip(
    net: VisTR,
    inputs: Sequence[NDArray[np.uint8]],
    size: tuple[int, int],
    on_frame: Callable[[], None] = lambda: None,
) -> list[ClipInstance]:
    """The instances of a whole video of at most the network's window: all slots, no threshold.

    Args:
        net: The network, on its device and in its dtype already.
        inputs: uint8 [h, w, 3] each, RGB at the network's size; 1 to `net.frames` of them.
        size: (height, width) of the masks in pixels, that of the original frames.
        on_frame: Called as each frame's features are done; what it raises ends the work.

    Returns:
        One instance for each slot that has a pixel in any frame, in slot order.

    Raises:
        DeviceError: The device failed, or ran out of memory.
        ValueError: There are no inputs, or more than a window's.

    Source: VisTR's ``inference.py``, which fills the window by repeating the frames cyclically.
    """
    if not 1 <= len(inputs) <= net.frames:
        raise ValueError(f"{len(inputs)} inputs, expected from 1 to {net.frames}")
    device = next(net.parameters()).device
    with device_errors(device, f"on a window of {net.frames} frames", SMALLER_INPUT):
        features = []
        for encoded in encode_frames(net, inputs):
            features.append(encoded)
            on_frame()
        state = net.relate(FrameFeatures.cat(list(islice(cycle(features), net.frames))))
        masks = net.segment(state, range(net.slots))
        return clip_results(VisTROutput(state.logits, state.boxes, masks), len(inputs), size)


def clip_entries(video_id: int, instances: Sequence[ClipInstance]) -> list[dict[str, Any]]:
    """Instances as entries of a YouTube-VIS results file.

    A frame under the cut is null; one over it has a mask, be it empty, as published.
    """
    return [
        {
            "video_id": video_id,
            "score": instance.score,
            "category_id": instance.category_id,
            "segmentations": [
                None if mask is None else rle_as_json(encode_rle(mask)) for mask in instance.masks
            ],
        }
        for instance in instances
    ]
