"""From the network's logits to scores and categories, and from its boxes to masks.

Source: the post-processing in VisTR's ``inference.py``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FRAME_SCORE_CUT = 0.001
"""Score in [0, 1] under which a slot has no mask in a frame."""

CERTAIN_LOGIT = 10.0
"""Logit of a pixel that is surely inside: its probability differs from 1 by less than 1e-4."""


def slot_scores(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores and classes of slots.

    Args:
        logits: [T, K, num_classes + 1], real frames only, the last column no-object.

    Returns:
        Scores [K] (mean over the frames), frame scores [T, K] and the frames' categories [T, K]
        (int64), on the logits' device, at least float32.
    """
    exact = torch.promote_types(logits.dtype, torch.float32)
    probabilities = logits.to(exact).softmax(-1)[..., :-1]
    frame_scores, frame_categories = probabilities.max(-1)
    return frame_scores.mean(0), frame_scores, frame_categories


def clip_scores(logits: Tensor, length: int) -> tuple[list[float], list[int], list[list[bool]]]:
    """What the slots of a clip that filled one window are.

    Args:
        logits: [T, K, num_classes + 1] of a window of T frames.
        length: Real frames at its start, from 1 to T.

    Returns:
        Scores and category ids of the K slots, and for each real frame which slots have a mask.
    """
    scores, frame_scores, frame_categories = slot_scores(logits[:length])
    counts = F.one_hot(frame_categories, logits.shape[-1] - 1).sum(0)
    categories = counts.argmax(-1)  # the most frequent ones, the lowest of equals
    return scores.tolist(), categories.tolist(), (frame_scores >= FRAME_SCORE_CUT).tolist()


def box_logits(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Mask logits of rectangles: certain inside, certain outside.

    Args:
        boxes: [..., 4], cxcywh in [0, 1].
        size: (height, width) of the masks.

    Returns:
        float32 [..., height, width].
    """
    height, width = size
    x, y, box_width, box_height = boxes.float()[..., None].unbind(-2)  # [..., 1] each
    rows = (torch.arange(height, dtype=torch.float32, device=boxes.device) + 0.5) / height
    columns = (torch.arange(width, dtype=torch.float32, device=boxes.device) + 0.5) / width
    # A box that is thinner than a pixel has one, too.
    inside_rows = (rows - y).abs() <= (box_height / 2).clamp(min=0.5 / height)
    inside_columns = (columns - x).abs() <= (box_width / 2).clamp(min=0.5 / width)
    inside = inside_rows[..., :, None] & inside_columns[..., None, :]
    return torch.where(inside, CERTAIN_LOGIT, -CERTAIN_LOGIT).float()


def all_finite(numbers: Tensor) -> Tensor:
    """Whether all of a tensor's numbers are finite, as a boolean scalar on its device.

    A sum is finite only if all its terms are, and theirs are too small to overflow it: one pass
    instead of two.
    """
    exact = torch.promote_types(numbers.dtype, torch.float32)
    return numbers.sum(dtype=exact).isfinite()
