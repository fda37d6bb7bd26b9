"""The instances of a clip at full size: slow, what `streamer.dataset.clip` is compared with.

Source: the post-processing in VisTR's ``inference.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from model import VisTROutput
from model.postprocess import clip_scores


@dataclass(frozen=True, slots=True, eq=False)
class ClipInstance:
    """One object in a clip.

    Attributes:
        score: In [0, 1], mean over the frames.
        category_id: Most frequent of its frames'.
        masks: Per frame bool [H, W], or None where the frame's own score is under
            `FRAME_SCORE_CUT`.
    """

    score: float
    category_id: int
    masks: tuple[NDArray[np.bool_] | None, ...]


def clip_results(output: VisTROutput, length: int, size: tuple[int, int]) -> list[ClipInstance]:
    """The instances of a clip that filled one window.

    Args:
        output: Of a window of T frames.
        length: Real frames at its start, from 1 to T; the rest repeats them and is left out.
        size: (height, width) of the masks in pixels, that of the original frames.

    Returns:
        One instance for each slot that has a pixel in any frame, in slot order.

    Raises:
        ValueError: `length` is out of range.
    """
    scores, categories, shown = clip_scores(output.logits, length)
    instances = []
    for slot, score in enumerate(scores):  # one at a time: masks at full size are large
        masks = _full_size(output.masks[:length, slot], size)
        if masks.any():
            kept = tuple(mask if shown[t][slot] else None for t, mask in enumerate(masks))
            instances.append(ClipInstance(score, categories[slot], kept))
    return instances


def _full_size(masks: Tensor, size: tuple[int, int]) -> NDArray[np.bool_]:
    exact = masks.to(torch.promote_types(masks.dtype, torch.float32))
    resized = F.interpolate(exact[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    # A sigmoid over 0.5 is a logit over 0.
    full_size: NDArray[np.bool_] = (resized > 0).cpu().numpy()
    return full_size
