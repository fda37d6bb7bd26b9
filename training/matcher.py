"""Which slot answers for which object, over the whole clip."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from streamer.option_check import check
from training.targets import Batch


@dataclass(frozen=True)
class MatchCosts:
    """Weights of the costs of a pair.

    Attributes:
        label: Of minus the probability of the object's category.
        box: Of the L1 distance of the boxes, summed over their four numbers.
        giou: Of minus the generalised IoU of the boxes.
    """

    label: float = 1.0
    box: float = 5.0
    giou: float = 2.0

    def __post_init__(self) -> None:
        for name in ("label", "box", "giou"):
            check_weight(f"losses.match.{name}", getattr(self, name))


def check_weight(name: str, weight: float) -> None:
    """Raise a `ConfigError` unless `weight` is one, of a loss or of a cost."""
    check(0 <= weight < math.inf, name, weight, "0 and more")


@torch.no_grad()
def match(logits: Tensor, boxes: Tensor, batch: Batch, costs: MatchCosts) -> Tensor:
    """Assign slots to objects, one assignment for each clip, group and layer.

    The cost of a pair is the mean over the frames in which the object is visible, and an assigned
    slot answers for the object in those. The published matcher averages over all frames, with an
    empty box where the object is not visible; it takes plain IoU and the mean of a box's four
    distances; and it supervises the visible frames of the object at the pair's rank, not of the
    pair's own.

    Args:
        logits: [..., B, G, T, K, num_classes + 1].
        boxes: [..., B, G, T, K, 4], cxcywh in [0, 1].
        batch: B clips with N objects, at most K of them real.
        costs: Weights.

    Returns:
        int64 [..., B, G, N]: the slot of each object; 0 for padding.

    Raises:
        ValueError: A clip has more objects than there are slots.

    Source: VisTR, section 3.3, and DETR (Carion et al., ECCV 2020).
    """
    slots = logits.shape[-2]
    counts = batch.present.sum(1)
    if counts.max() > slots:
        raise ValueError(f"a clip has {int(counts.max())} objects, the network {slots} slots")
    cost = _costs(logits.float(), boxes.float(), batch, costs)
    assigned = torch.zeros((*cost.shape[:-2], cost.shape[-1]), dtype=torch.int64)
    flat, rows = assigned.flatten(0, -2), cost.flatten(0, -3).cpu().numpy()
    per_clip = counts.tolist()
    groups = cost.shape[-3]
    for position, pair_costs in enumerate(rows):
        real = per_clip[position // groups % len(per_clip)]
        chosen, objects = linear_sum_assignment(pair_costs[:, :real])
        flat[position, objects] = torch.from_numpy(chosen)
    return assigned.to(logits.device)


def _costs(logits: Tensor, boxes: Tensor, batch: Batch, costs: MatchCosts) -> Tensor:
    """[..., B, G, K, N]."""
    # Objects as [B, 1, T, 1, N], to stand beside slots as [..., B, G, T, K, 1].
    target_boxes = batch.boxes.transpose(1, 2)[:, None, :, None]
    share = batch.visible.float()
    share = share / share.sum(2, keepdim=True).clamp(min=1)
    share = share.transpose(1, 2)[:, None, :, None]
    index = batch.labels[:, None, None, None].expand(*logits.shape[:-1], -1)
    probability = logits.softmax(-1).gather(-1, index)
    distance = (boxes[..., None, :] - target_boxes).abs().sum(-1)
    overlap = pair_giou(boxes[..., None, :], target_boxes)
    cost = costs.box * distance - costs.label * probability - costs.giou * overlap
    # NaN and infinity show in the loss; they shall not fail here.
    return (cost * share).sum(-3).nan_to_num()


def pair_giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU [...] of boxes [..., 4], cxcywh, pair by pair with broadcasting.

    Source: Rezatofighi et al., CVPR 2019.
    """
    low_1, high_1 = first[..., :2] - first[..., 2:] / 2, first[..., :2] + first[..., 2:] / 2
    low_2, high_2 = second[..., :2] - second[..., 2:] / 2, second[..., :2] + second[..., 2:] / 2
    shared = _area(torch.maximum(low_1, low_2), torch.minimum(high_1, high_2))
    union = _area(low_1, high_1) + _area(low_2, high_2) - shared
    hull = _area(torch.minimum(low_1, low_2), torch.maximum(high_1, high_2))
    tiny = torch.finfo(hull.dtype).tiny
    return shared / union.clamp(min=tiny) - (hull - union) / hull.clamp(min=tiny)


def _area(low: Tensor, high: Tensor) -> Tensor:
    return (high - low).clamp(min=0).prod(-1)
