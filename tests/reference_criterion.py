"""The matching and the losses in plain loops over NumPy arrays, to compare the real ones with.

Written from the formulas: DETR (Carion et al., ECCV 2020) for matching, classes and boxes, V-Net's
dice, RetinaNet's focal loss.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_convert, generalized_box_iou

from tests.training_cases import Told
from training.criterion import LossConfig
from training.matcher import MatchCosts
from training.targets import Batch

Float = NDArray[np.float64]


def softmax(logits: Float) -> Float:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def giou(first: Tensor, second: Tensor) -> float:
    corners = (box_convert(box[None].double(), "cxcywh", "xyxy") for box in (first, second))
    return float(generalized_box_iou(*corners))


def pair_cost(
    logits: Tensor, boxes: Tensor, batch: Batch, place: tuple[int, int], costs: MatchCosts
) -> float:
    """Of a slot's [T, C] logits and [T, 4] boxes for the object at `place`, (clip, object)."""
    terms = []
    for t in range(len(logits)):
        if batch.visible[place][t]:
            target = batch.boxes[place][t]
            probability = softmax(logits[t].double().numpy())[int(batch.labels[place])]
            distance = float((boxes[t].double() - target.double()).abs().sum())
            overlap = giou(boxes[t], target)
            terms.append(costs.box * distance - costs.label * probability - costs.giou * overlap)
    return float(np.mean(terms)) if terms else 0.0


def best_slots(cost: Float) -> tuple[int, ...]:
    """The slot of each object with the least sum of costs [slots, objects], by trying them all."""
    slots, objects = cost.shape
    choices = itertools.permutations(range(slots), objects)
    return min(choices, key=lambda chosen: sum(cost[slot, i] for i, slot in enumerate(chosen)))


def cost_table(logits: Tensor, boxes: Tensor, batch: Batch, clip: int, costs: MatchCosts) -> Float:
    """[K, objects] of a clip, from [T, K, C] logits and [T, K, 4] boxes."""
    objects = int(batch.present[clip].sum())
    return np.array(
        [
            [pair_cost(logits[:, k], boxes[:, k], batch, (clip, i), costs) for i in range(objects)]
            for k in range(logits.shape[1])
        ]
    ).reshape(logits.shape[1], objects)


def dice(probability: Float, mask: Float) -> float:
    return 1 - (2 * (probability * mask).sum() + 1) / (probability.sum() + mask.sum() + 1)


def focal(logits: Float, wanted: Float) -> Float:
    probability = 1 / (1 + np.exp(-logits))
    entropy = -(wanted * np.log(probability) + (1 - wanted) * np.log(1 - probability))
    missed = wanted * (1 - probability) + (1 - wanted) * probability
    alpha = 0.25 * wanted + 0.75 * (1 - wanted)
    return np.asarray(alpha * missed**2 * entropy)


def reference_losses(told: Told, batch: Batch, config: LossConfig) -> dict[str, float]:
    """The losses of answers whose objects all stand before the padding."""
    layers, clips, groups = told.logits.shape[:3]
    parts = {"label": 0.0, "box": 0.0, "giou": 0.0}
    chosen: list[tuple[int, ...]] = []
    for layer in range(layers):
        entropy, weights = 0.0, 0.0
        for clip, group in itertools.product(range(clips), range(groups)):
            logits, boxes = told.logits[layer, clip, group], told.boxes[layer, clip, group]
            slots = best_slots(cost_table(logits, boxes, batch, clip, config.match))
            if layer == layers - 1 and group == 0:
                chosen.append(slots)
            more, weight = _labels(logits, slots, batch, clip, config)
            entropy, weights = entropy + more, weights + weight
            for i, slot in enumerate(slots):
                for t in np.flatnonzero(batch.visible[clip, i].numpy()):
                    found, target = boxes[t, slot], batch.boxes[clip, i, t]
                    count = groups * int(batch.visible.sum())
                    parts["box"] += float((found - target).abs().sum()) / count
                    parts["giou"] += (1 - giou(found, target)) / count
        parts["label"] += entropy / weights
    parts |= _masks(told, chosen, batch, config)
    if config.token:
        stages = [_tokens(stage, batch) for stage in told.told]
        parts["token"], parts["token_box"] = np.sum(stages, axis=0).tolist()
    return {name: getattr(config, name) * value for name, value in parts.items()}


def _labels(
    logits: Tensor, slots: Sequence[int], batch: Batch, clip: int, config: LossConfig
) -> tuple[float, float]:
    entropy, weights = 0.0, 0.0
    nothing = logits.shape[-1] - 1
    for t, k in itertools.product(range(logits.shape[0]), range(logits.shape[1])):
        wanted = nothing
        if k in slots:
            i = slots.index(k)
            if batch.visible[clip, i, t] or config.absent == "category":
                wanted = int(batch.labels[clip, i])
        weight = config.no_object if wanted == nothing else 1.0
        entropy -= weight * np.log(softmax(logits[t, k].double().numpy())[wanted])
        weights += weight
    return entropy, weights


def _masks(
    told: Told, chosen: Sequence[Sequence[int]], batch: Batch, config: LossConfig
) -> dict[str, float]:
    height, width = batch.masks.shape[-2:]
    stride = config.mask_stride
    size = (-(-height // stride), -(-width // stride))
    terms = []
    for clip, slots in enumerate(chosen):
        for i, slot in enumerate(slots):
            found = F.interpolate(told.slot_masks[clip, slot][None], size, mode="bilinear")[0]
            for t in range(len(found)):
                if batch.visible[clip, i, t] or config.absent == "category":
                    mask = batch.masks[clip, i, t].numpy().astype(np.float64)
                    wanted, logits = shrunk(mask, size), found[t].double().numpy()
                    sure = 1 / (1 + np.exp(-logits))
                    terms.append((dice(sure, wanted), focal(logits, wanted).mean()))
    return dict(zip(("dice", "focal"), np.mean(terms, axis=0).tolist(), strict=True))


def shrunk(mask: Float, size: tuple[int, int]) -> Float:
    """Means of [H, W] over the pixels that each of `size` cells touches."""
    edges = [
        [(i * full // n, -(-(i + 1) * full // n)) for i in range(n)]
        for full, n in zip(mask.shape, size, strict=True)
    ]
    return np.array([[mask[a:b, c:d].mean() for c, d in edges[1]] for a, b in edges[0]])


def _tokens(told: Tensor, batch: Batch) -> tuple[float, float]:
    """Of tokens [B, T, C + 4, h, w]: of their categories, and of their boxes."""
    said = told.double().numpy()
    label = total = 0.0
    boxes = [0.0]
    for clip, t, y, x in np.ndindex(*said.shape[:2], *said.shape[3:]):
        nearest, most = -1, 0.1
        for i in np.flatnonzero(batch.present[clip].numpy()):
            mask = batch.masks[clip, i, t].numpy().astype(np.float64)
            if (covered := shrunk(mask, said.shape[-2:])[y, x]) > most:
                nearest, most = int(i), covered
        scores, box = said[clip, t, :-4, y, x], told[clip, t, -4:, y, x].double().sigmoid()
        category = 0 if nearest < 0 else int(batch.labels[clip, nearest])
        weight = 1.0 if category else 0.1
        label += weight * (np.log(np.exp(scores).sum()) - scores[category])
        total += weight
        if category:
            wanted = batch.boxes[clip, nearest, t].double()
            boxes.append(5 * float((box - wanted).abs().sum()) + 2 * (1 - giou(box, wanted)))
    return label / total, sum(boxes) / max(1, len(boxes) - 1)
