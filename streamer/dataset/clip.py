"""A video that fits one window, segmented and scored as the published code does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model import FrameFeatures, VisTR
from model.postprocess import all_finite, clip_scores
from streamer.device import SMALLER_INPUT, check_finite, device_errors
from streamer.frame import Region
from streamer.frame_features import encode_passes
from streamer.mask import Rle, rle_as_json, rle_of_borders
from streamer.stitching.device_upsampling import upsampler_on


@dataclass(frozen=True, slots=True)
class ClipObject:
    """One object in a video.

    Attributes:
        score: In [0, 1], mean over the frames.
        category_id: Most frequent of its frames'.
        masks: Per frame the mask, be it empty, or None where the frame's own score is too low.
    """

    score: float
    category_id: int
    masks: tuple[Rle | None, ...]


@torch.inference_mode()
def segment_clip(
    net: VisTR,
    inputs: Sequence[NDArray[np.uint8]],
    size: tuple[int, int],
    on_frame: Callable[[], None] = lambda: None,
) -> list[ClipObject]:
    """The objects of a whole video of at most the network's window: all slots, no threshold.

    Args:
        net: The network, on its device and in its dtype already.
        inputs: uint8 [h, w, 3] each, RGB at the network's size; 1 to `net.frames` of them.
        size: (height, width) of the masks in pixels, that of the original frames.
        on_frame: Called as each frame's features are done; what it raises ends the work.

    Returns:
        One for each slot that has a pixel in any frame, in slot order.

    Raises:
        DeviceError: The device failed, or ran out of memory, or its outputs are not finite.
        ValueError: There are no inputs, or more than a window's.

    Source: VisTR's ``inference.py``, which fills the window by repeating the frames cyclically.
    """
    if not 1 <= len(inputs) <= net.frames:
        raise ValueError(f"{len(inputs)} inputs, expected from 1 to {net.frames}")
    device = next(net.parameters()).device
    with device_errors(device, f"on a window of {net.frames} frames", SMALLER_INPUT):
        features = []
        for _, of_pass in encode_passes(net, inputs):
            for i in range(len(of_pass)):
                features.append(of_pass[i])
                on_frame()
        state = net.relate(FrameFeatures.cat(list(islice(cycle(features), net.frames))))
        masks = net.segment(state, range(net.slots))[: len(inputs)]
        check_finite(bool(all_finite(state.logits) & all_finite(masks)), state.logits.dtype)
        low = masks.float().cpu().numpy()
        scores, categories, shown = clip_scores(state.logits, len(inputs))
        upsample, region = upsampler_on(device), Region(0, 0, *size)
        empty = rle_of_borders(size, np.empty(0, np.int64))
        objects = []
        for slot, score in enumerate(scores):
            found = [mask and mask.rle() for mask in upsample(list(low[:, slot]), region, size)]
            if any(found):
                rles = (rle or empty if shown[t][slot] else None for t, rle in enumerate(found))
                objects.append(ClipObject(score, categories[slot], tuple(rles)))
        return objects


def clip_entries(video_id: int, objects: Sequence[ClipObject]) -> list[dict[str, Any]]:
    """Objects as entries of a YouTube-VIS results file, as published."""
    return [
        {
            "video_id": video_id,
            "score": found.score,
            "category_id": found.category_id,
            "segmentations": [mask and rle_as_json(mask) for mask in found.masks],
        }
        for found in objects
    ]
