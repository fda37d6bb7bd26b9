"""What passes between the three stages of the network, and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import SupportsIndex

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class FrameFeatures:
    """Features of n frames, each independent of its neighbours.

    Attributes:
        projected: [n, D, h, w] at stride 32 (16 with a dilated backbone).
        adapted: Three [n, C, h, w] at strides 16, 8 and 4, as the mask head adds them.

    Indexing with an integer or a slice keeps the frame dimension.
    """

    projected: Tensor
    adapted: tuple[Tensor, ...]

    @classmethod
    def cat(cls, parts: Sequence[FrameFeatures]) -> FrameFeatures:
        """Join features of frames of one size along the frame dimension.

        Raises:
            ValueError: There is nothing to join, or the frames differ in size.
        """
        if not parts:
            raise ValueError("no features to join; expected at least one frame")
        shapes = {part._frame_shapes() for part in parts}
        if len(shapes) > 1:
            sizes = sorted({tuple(part.adapted[-1].shape[-2:]) for part in parts})
            raise ValueError(f"features are of frames of different sizes (at stride 4: {sizes})")
        levels = zip(*(part.adapted for part in parts), strict=True)
        return cls(
            torch.cat([part.projected for part in parts]),
            tuple(torch.cat(level) for level in levels),
        )

    def __len__(self) -> int:
        return self.projected.shape[0]

    def __getitem__(self, index: SupportsIndex | slice) -> FrameFeatures:
        if isinstance(index, Integral):
            # As `range` has it: negative from the end, IndexError outside.
            position = range(len(self))[int(index)]
            index = slice(position, position + 1)
        return FrameFeatures(self.projected[index], tuple(level[index] for level in self.adapted))

    def __repr__(self) -> str:
        levels = ", ".join(str(list(level.shape[1:])) for level in self.adapted)
        return (
            f"FrameFeatures({len(self)} frames of {self.projected.dtype}: "
            f"projected {list(self.projected.shape[1:])}, adapted {levels})"
        )

    def _frame_shapes(self) -> tuple[torch.Size, ...]:
        return tuple(level.shape[1:] for level in (self.projected, *self.adapted))


@dataclass(frozen=True, slots=True, eq=False)
class WindowState:
    """A window of T frames after the transformer.

    Attributes:
        logits: [T, K, num_classes + 1], the last column is no-object.
        boxes: [T, K, 4], cxcywh in [0, 1], at least float32.
        embeddings: [T, K, D] decoder outputs.
        memory: [T, D, h, w] encoder output.
        features: What it was made from; the mask head needs it again.
    """

    logits: Tensor
    boxes: Tensor
    embeddings: Tensor
    memory: Tensor
    features: FrameFeatures


@dataclass(frozen=True, slots=True, eq=False)
class VisTROutput:
    """Everything about a window of T frames.

    Attributes:
        logits: [T, K, num_classes + 1], the last column is no-object.
        boxes: [T, K, 4], cxcywh in [0, 1], at least float32.
        masks: [T, K, ceil(H / 4), ceil(W / 4)] logits.
    """

    logits: Tensor
    boxes: Tensor
    masks: Tensor
