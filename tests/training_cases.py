"""Small labelled clips, a small network to train on them, and one whose outputs are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from model import VisTR
from model.initialise import random_tensors
from tests.tiny_vistr import tiny_vistr
from training.clip import Clip
from training.network import Outputs, Trainee, window_times
from training.targets import Batch, boxes_of

NO_FEATURES = torch.empty(0)


def random_clip(
    rng: np.random.Generator, labels: Sequence[int], frames: int, size: tuple[int, int]
) -> Clip:
    """Noise with rectangles that come and go, each of them visible in some frame."""
    masks = np.zeros((len(labels), frames, *size), np.bool_)
    for tube in masks:
        shown = rng.random(frames) < 0.7
        shown[rng.integers(frames)] = True
        for t in np.flatnonzero(shown):
            top, left = rng.integers(np.array(size) - 8)
            height, width = rng.integers(4, np.array(size) // 2)
            tube[t, top : top + height, left : left + width] = True
    pictures = rng.integers(256, size=(frames, *size, 3), dtype=np.uint8)
    return Clip(pictures, masks, np.array(labels, np.int64))


def random_batch(
    labels: Sequence[Sequence[int]],
    *,
    frames: int = 3,
    window: int = 6,
    size: tuple[int, int] = (33, 50),
    seed: int = 0,
) -> Batch:
    """A batch of a `random_clip` for each list of labels."""
    rng = np.random.default_rng(seed)
    times = window_times(frames, window).expand(len(labels), -1)
    return Batch.of([random_clip(rng, some, frames, size) for some in labels], times)


def padded(batch: Batch, more: int) -> Batch:
    """The same objects, with more padding behind them."""
    parts = {}
    for name in ("labels", "boxes", "visible", "masks"):
        part: Tensor = getattr(batch, name)
        extra = part.new_zeros((len(part), more, *part.shape[2:]))
        parts[name] = torch.cat((part, extra), dim=1)
    return replace(batch, **parts)


def reordered(batch: Batch, order: Sequence[int]) -> Batch:
    """The same objects in another order."""
    names = ("labels", "boxes", "visible", "masks")
    return replace(batch, **{name: getattr(batch, name)[:, list(order)] for name in names})


def with_masks(batch: Batch, masks: Tensor) -> Batch:
    """The same labels, with other masks."""
    return replace(batch, masks=masks, boxes=boxes_of(masks), visible=masks.flatten(3).any(3))


def one_after_the_other() -> Batch:
    """Two objects of a kind: the first is in the first frame only, the second in the second."""
    batch = random_batch([[2, 2]], frames=2)
    masks = torch.zeros_like(batch.masks)
    masks[0, 0, 0, :10, :10] = True
    masks[0, 1, 1, 20:, 30:] = True
    return with_masks(batch, masks)


def tiny_trainee(
    frames: int = 6, slots: int = 3, *, groups: int = 1, deformable: bool = False
) -> Trainee:
    """A network whose parameters are all random, none of them zero."""
    net = tiny_vistr(frames, slots)
    architecture = replace(net.architecture, deformable=deformable)
    net = VisTR(architecture)
    net.load_state_dict(random_tensors(architecture, 0))
    trainee = Trainee(net, groups)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in trainee.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if name in ("shared", "moments"):
            parameter.data = noise
        elif parameter.ndim < 4 or not parameter.any():
            parameter.data += 0.1 * noise
    return trainee


@dataclass
class Told:
    """Stands where a `Trainee` does, with outputs that are given.

    Args:
        logits: [L, B, G, T, K, num_classes + 1].
        boxes: [L, B, G, T, K, 4].
        slot_masks: [B, K, T, h, w] logits.
        told: [2, B, T, num_classes + 4, h, w], of tokens.
    """

    logits: Tensor
    boxes: Tensor
    slot_masks: Tensor
    told: Tensor

    def __call__(self, batch: Batch) -> Outputs:
        return Outputs(self.logits, self.boxes, NO_FEATURES, NO_FEATURES, None)  # type: ignore[arg-type]

    def masks(self, outputs: Outputs, clips: Tensor, slots: Tensor) -> Tensor:
        return self.slot_masks[clips, slots]

    def tokens(self, outputs: Outputs) -> Tensor:
        return self.told


def random_answers(
    batch: Batch, *, layers: int = 2, groups: int = 1, slots: int = 4, classes: int = 7
) -> Told:
    """Answers at random, as a network with that many classes, no-object included, would give."""
    generator = torch.Generator().manual_seed(0)
    count, frames, height, width, _ = batch.frames.shape
    shape = (layers, count, groups, frames, slots)
    grid = (-(-height // 4), -(-width // 4))
    tokens = (-(-height // 32), -(-width // 32))

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator)

    return Told(
        logits=2 * normal(*shape, classes),
        boxes=normal(*shape, 4).sigmoid(),
        slot_masks=3 * normal(count, slots, frames, *grid),
        told=normal(2, count, frames, classes + 3, *tokens),
    )
