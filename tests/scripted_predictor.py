"""A synthetic world of moving objects, and a predictor that sees it as an imperfect network would.

Every window gets its slots in a random order, scores and embeddings of its own, noise in its masks,
at most so many slots, and duplicates if asked. The truth is known for every frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from streamer.frame import Epoch, EpochReason, Frame, Region
from streamer.window import Prediction, Window

Mask = NDArray[np.bool_]

ALWAYS = ((0, 1_000_000),)


@dataclass(frozen=True)
class SceneObject:
    """A rectangle or an ellipse that moves on a straight line and bounces off the borders.

    Attributes:
        centre: (x, y) at frame 0, in [0, 1] of the picture.
        velocity: Movement per frame (x, y).
        size: Width and height, in [0, 1].
        category_id: From 1.
        kind: Objects of one kind get the same embedding; unique by default.
        visible: Half-open ranges of frames in which it is there.
        round: An ellipse instead of a rectangle.
    """

    centre: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    size: tuple[float, float] = (0.2, 0.3)
    category_id: int = 1
    kind: int | None = None
    visible: tuple[tuple[int, int], ...] = ALWAYS
    round: bool = False

    def cxcywh(self, index: int) -> NDArray[np.float32]:
        position = np.array(self.centre) + index * np.array(self.velocity)
        half = np.array(self.size) / 2
        # A triangle wave between the two borders, so that it stays in the picture whole.
        room = 1 - 2 * half
        folded = np.abs((position - half + room) % (2 * room) - room) + half
        return np.array([*folded, *self.size], np.float32)

    def shows(self, index: int) -> bool:
        return any(first <= index < end for first, end in self.visible)

    def mask(self, index: int, size: tuple[int, int]) -> Mask:
        """Pixels of the whole object in a picture of (height, width)."""
        if not self.shows(index):
            return np.zeros(size, np.bool_)
        x, y, width, height = self.cxcywh(index)
        rows = (np.arange(size[0]) + 0.5) / size[0] - y
        columns = (np.arange(size[1]) + 0.5) / size[1] - x
        down, along = np.abs(rows)[:, None] / (height / 2), np.abs(columns)[None] / (width / 2)
        return (down**2 + along**2 < 1) if self.round else (down < 1) & (along < 1)


def scene_masks(
    objects: Sequence[SceneObject], index: int, size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Visible pixels of every object, [N, H, W]; earlier objects are in front of later ones."""
    masks = np.stack([one.mask(index, size) for one in objects])
    hidden = np.logical_or.accumulate(masks, axis=0)
    masks[1:] &= ~hidden[:-1]
    return masks


class ScriptedPredictor:
    """Predicts what is in the scene, as a network with so many slots would.

    Args:
        objects: The scene, front to back.
        mask_size: (height, width) of the masks.
        slots: Most objects in a window; of more, some are left out, others each time.
        duplicates: Extra slots per window that repeat an object with a lower score.
        mask_noise: Standard deviation of the mask logits, whose objects are +4 and ground -6.
        embedding_noise: Standard deviation of each embedding entry, before scaling to length 1.
        class_noise: Probability that a frame votes for some other class.
        seed: Of all that is random.
    """

    def __init__(
        self,
        objects: Sequence[SceneObject],
        *,
        mask_size: tuple[int, int] = (24, 40),
        slots: int = 10,
        duplicates: int = 0,
        mask_noise: float = 0.5,
        embedding_noise: float = 0.02,
        class_noise: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.objects = tuple(objects)
        self.mask_size = mask_size
        self.slots = slots
        self.duplicates = duplicates
        self.mask_noise = mask_noise
        self.embedding_noise = embedding_noise
        self.class_noise = class_noise
        self.classes = 2 + max((one.category_id for one in objects), default=0)
        self.windows = 0
        self.closed = False
        self._random = np.random.default_rng(seed)
        self._truth: dict[int, NDArray[np.bool_]] = {}

    def encode_ahead(self, waiting: Sequence[Frame]) -> None:
        """There is nothing to prepare: the script is known."""

    def predict(self, window: Window) -> Prediction:
        self.windows += 1
        self._truth = {index: self._masks(index) for index in window.real}
        truth = np.stack([self._truth[index] for index in window.real])  # [T, N, h, w]
        chosen = self._choose(truth.any(axis=(2, 3)).sum(axis=0))
        scores = self._random.uniform(0.75, 0.98, len(chosen))
        repeated = chosen[: self.duplicates]
        chosen = np.concatenate([chosen, repeated])
        scores = np.concatenate([scores, self._random.uniform(0.5, 0.7, len(repeated))])
        best_first = np.argsort(-scores)
        return self._predict(window, chosen[best_first], scores[best_first], truth)

    def close(self) -> None:
        self.closed = True

    def _masks(self, index: int) -> NDArray[np.bool_]:
        known = self._truth.get(index)
        return scene_masks(self.objects, index, self.mask_size) if known is None else known

    def _choose(self, shown_frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Objects that get a slot, in random order; those seen longest are preferred."""
        urge = shown_frames * self._random.uniform(0.7, 1, len(shown_frames))
        ranked = np.argsort(-urge)[: self.slots]
        return self._random.permutation(ranked[shown_frames[ranked] > 0])

    def _predict(
        self,
        window: Window,
        chosen: NDArray[np.int64],
        scores: NDArray[np.float64],
        truth: NDArray[np.bool_],
    ) -> Prediction:
        masks = np.where(truth[:, chosen], 4.0, -6.0)
        masks += self._random.normal(0, self.mask_noise, masks.shape)
        boxes = [[self.objects[i].cxcywh(index) for i in chosen] for index in window.real]
        votes = [self._votes(self.objects[i].category_id, window.length) for i in chosen]
        embeddings = [self._embedding(self.objects[i].kind, i) for i in chosen]
        return Prediction(
            scores=scores.astype(np.float32),
            class_votes=np.array(votes, np.float32).reshape(len(chosen), self.classes),
            embeddings=np.array(embeddings, np.float32).reshape(len(chosen), 32),
            boxes=np.array(boxes, np.float32).reshape(window.length, len(chosen), 4),
            presence=truth[:, chosen].any(axis=(2, 3)),
            masks=masks.astype(np.float32),
            colours=np.zeros((*truth[:, chosen].shape[:2], 0), np.float32),
        )

    def _votes(self, category_id: int, frames: int) -> NDArray[np.float64]:
        wrong = self._random.random(frames) < self.class_noise
        votes = np.where(wrong, self._random.integers(1, self.classes, frames), category_id)
        return np.bincount(votes, minlength=self.classes) / frames

    def _embedding(self, kind: int | None, number: int) -> NDArray[np.float64]:
        own = np.random.default_rng(1000 + number if kind is None else kind).normal(size=32)
        noisy = own / np.linalg.norm(own) + self._random.normal(0, self.embedding_noise, 32)
        return noisy / np.linalg.norm(noisy)


def make_epoch(
    size: tuple[int, int] = (48, 80),
    *,
    index: int = 0,
    reason: EpochReason = "start",
    region: Region | None = None,
) -> Epoch:
    """An epoch of frames of (height, width) that the network sees whole, unless told otherwise."""
    return Epoch(index, reason, size, region or Region(0, 0, *size))


def make_frame(epoch: Epoch, index: int) -> Frame:
    """A black frame at 30 frames per second."""
    return Frame(
        index=index,
        epoch=epoch,
        pts=index * 3000,
        time_base=Fraction(1, 90000),
        time_s=index / 30,
        pixels=np.zeros((*epoch.size, 3), np.uint8),
        inputs=np.zeros((12, 20, 3), np.uint8),
        decoded_ns=0,
    )


def make_frames(epoch: Epoch, count: int, first: int = 0) -> Iterator[Frame]:
    """Frames in order, without a hole."""
    return (make_frame(epoch, index) for index in range(first, first + count))
