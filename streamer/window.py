"""A window of frames for the network, and what the network says of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamer.frame import Frame


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The frames of one epoch that one pass of the network sees together.

    Attributes:
        indices: Frame index at each position of the network's window. The first `length` are
            distinct and ascending; the rest repeats them cyclically (as VisTR fills short clips).
        length: Real frames, at most ``len(indices)``.
        new: Frames that no earlier window held, oldest first: the last of the real ones. The
            predictor still holds the features of the others.
        leaving: How many of the oldest real frames the next window no longer holds, if it takes at
            least a stride of new ones; all of them in an epoch's closing window.
    """

    indices: tuple[int, ...]
    length: int
    new: tuple[Frame, ...]
    leaving: int

    def __post_init__(self) -> None:
        if not 1 <= self.length <= len(self.indices) or not 0 <= self.leaving <= self.length:
            raise ValueError(
                f"a window of {len(self.indices)} with {self.length} frames, {self.leaving} leaving"
            )
        if [frame.index for frame in self.new] != list(self.real[self.length - len(self.new) :]):
            raise ValueError("the new frames of a window are its last real ones")

    @property
    def real(self) -> tuple[int, ...]:
        """Indices of the real frames, ascending."""
        return self.indices[: self.length]

    @property
    def real_indices(self) -> NDArray[np.int64]:
        """The same, int64 [length]."""
        return np.array(self.real, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The instance slots of one window whose score reached the threshold, best first.

    n slots, T real frames of the window (padding is left out), C class rows (0 is a dummy and
    1.. are category ids, no-object is left out), D embedding size, masks at the network's stride 4.

    Attributes:
        scores: float32 [n], mean over the real frames of the highest class probability.
        class_votes: float32 [n, C], the share of the real frames whose most probable class it
            is; 0 of classes that are not wanted.
        embeddings: float32 [n, D], mean over the frames of the decoder's output, unit length.
        boxes: float32 [T, n, 4], cxcywh in [0, 1] of the network's input.
        presence: bool [T, n], frames in which the slot's own score is not negligible.
        masks: float32 [T, n, h, w], logits over the network's input.
        colours: float32 [T, n, F], what the mask is coloured like, to compare by products: unit
            length, or 0 where that is not known. F may be 0. Like the box it says nothing of
            frames without the slot's presence.
    """

    scores: NDArray[np.float32]
    class_votes: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    boxes: NDArray[np.float32]
    presence: NDArray[np.bool_]
    masks: NDArray[np.float32]
    colours: NDArray[np.float32]

    def __post_init__(self) -> None:
        frames, slots = self.masks.shape[:2]
        shapes = {
            "scores": (self.scores.shape, (slots,)),
            "class_votes": (self.class_votes.shape[:1], (slots,)),
            "embeddings": (self.embeddings.shape[:1], (slots,)),
            "boxes": (self.boxes.shape, (frames, slots, 4)),
            "presence": (self.presence.shape, (frames, slots)),
            "colours": (self.colours.shape[:2], (frames, slots)),
        }
        for name, (actual, expected) in shapes.items():
            if actual != expected:
                raise ValueError(f"{name}: {actual} does not fit masks of {self.masks.shape}")

    def __len__(self) -> int:
        return len(self.scores)

    def check_fits(self, window: Window) -> None:
        """Refuse a window that it cannot be of.

        Raises:
            ValueError: The window has another number of real frames.
        """
        if len(self.masks) != window.length:
            raise ValueError(
                f"a prediction of {len(self.masks)} frames for a window of {window.length}"
            )

    def shows(self, position: int, slot: int) -> bool:
        """Whether a slot has a pixel in the frame at a position of the window."""
        is_there = bool(self.presence[position, slot])
        return is_there and bool((self.masks[position, slot] > 0).any())
