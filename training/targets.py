"""Clips as the tensors that losses compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from training.clip import Clip


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """B clips of one size and length, with up to N objects each; missing objects are padding.

    Attributes:
        frames: uint8 [B, T, H, W, 3], RGB.
        times: int64 [B, T], the place in a full window that each frame has.
        labels: int64 [B, N], category ids; 0 is padding.
        boxes: float32 [B, N, T, 4], cxcywh in [0, 1]; zeros where the object is not visible.
        visible: bool [B, N, T].
        masks: bool [B, N, T, H, W].
    """

    frames: Tensor
    times: Tensor
    labels: Tensor
    boxes: Tensor
    visible: Tensor
    masks: Tensor

    @classmethod
    def of(cls, clips: Sequence[Clip], times: Tensor) -> Batch:
        """Put clips together.

        Args:
            clips: B of one size and length.
            times: int64 [B, T].
        """
        most = max(len(clip.category_ids) for clip in clips)
        shape = (len(clips), most, *clips[0].frames.shape[:3])
        masks = np.zeros(shape, np.bool_)
        labels = np.zeros(shape[:2], np.int64)
        for row, clip in enumerate(clips):
            masks[row, : len(clip.masks)] = clip.masks
            labels[row, : len(clip.masks)] = clip.category_ids
        packed = torch.from_numpy(masks)
        return cls(
            frames=torch.from_numpy(np.stack([clip.frames for clip in clips])),
            times=times,
            labels=torch.from_numpy(labels),
            boxes=boxes_of(packed),
            visible=packed.view(torch.uint8).flatten(3).amax(3).bool(),
            masks=packed,
        )

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return Batch(**{name: tensor.to(device) for name, tensor in tensors.items()})

    @property
    def present(self) -> Tensor:
        """Bool [B, N], False for padding."""
        return self.labels > 0


def boxes_of(masks: Tensor) -> Tensor:
    """The tight boxes of masks.

    Args:
        masks: bool [..., H, W].

    Returns:
        float32 [..., 4], cxcywh in [0, 1]; zeros for an empty mask.
    """
    spans = []
    for axis in (-2, -1):  # over rows: columns that are covered, and the other way round
        # Ten times as fast as `any`.
        covered = masks.view(torch.uint8).amax(axis).bool()
        length = covered.shape[-1]
        first = covered.to(torch.uint8).argmax(-1)
        last = length - covered.flip(-1).to(torch.uint8).argmax(-1)
        any_pixel = covered.any(-1)
        spans.append((first / length * any_pixel, last / length * any_pixel))
    (left, right), (top, bottom) = spans
    return torch.stack(((left + right) / 2, (top + bottom) / 2, right - left, bottom - top), dim=-1)
