"""The set criterion: what a network's outputs on a batch cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from streamer.option_check import check
from training.matcher import MatchCosts, check_weight, match, pair_giou
from training.network import Outputs, Trainee
from training.targets import Batch

COVERED = 0.1
"""Share of a token's pixels from which it counts as showing a category."""

TOKEN_BACKGROUND = 0.1
"""Weight of tokens that show none: most of them."""


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses, and what they ask for.

    Attributes:
        label: Of the cross-entropy of the classes.
        box: Of the L1 distance of the boxes.
        giou: Of one minus the generalised IoU of the boxes.
        dice: Of the dice loss of the masks.
        focal: Of the focal loss of the masks.
        token: Of the cross-entropy of the category that each token shows, before the encoder and
            after it; not part of the published criterion, a direct signal to backbone and encoder.
        token_box: Of the distance of the box that it gives to the object's, likewise.
        no_object: Weight of the class no-object in the cross-entropy.
        absent: What a slot is to say in frames in which its object is not visible. ``no_object``
            as published, where such frames then lower the object's score and have no say in its
            mask; ``category``: still the category, with an empty mask.
        mask_stride: Pixels of the input that one pixel of the compared masks spans: 1, 2 or 4.
        match: Costs of the assignment.
    """

    label: float = 1.0
    box: float = 5.0
    giou: float = 2.0
    dice: float = 1.0
    focal: float = 1.0
    token: float = 0.0
    token_box: float = 0.0
    no_object: float = 0.1
    absent: Literal["no_object", "category"] = "no_object"
    mask_stride: int = 1
    match: MatchCosts = field(default_factory=MatchCosts)

    def __post_init__(self) -> None:
        for name in ("label", "box", "giou", "dice", "focal", "token", "token_box", "no_object"):
            check_weight(f"losses.{name}", getattr(self, name))
        fits = self.mask_stride in (1, 2, 4)
        check(fits, "losses.mask_stride", self.mask_stride, "1, 2 or 4")


def losses(trainee: Trainee, batch: Batch, config: LossConfig) -> dict[str, Tensor]:
    """The weighted losses of a batch by name; their sum is what training lowers.

    Classes and boxes are judged after every decoder layer, each with an assignment of its own, and
    averaged over the groups; masks are those of the last layer and the first group.

    Source: VisTR, section 3.3, and ``models/vistr.py``; DETR for the auxiliary losses.
    """
    outputs = trainee(batch)
    logits, boxes = outputs.logits.float(), outputs.boxes.float()
    assigned = match(logits, boxes, batch, config.match)
    parts = {
        "label": config.label * _label_loss(logits, assigned, batch, config),
        **_box_losses(boxes, assigned, batch, config),
    }
    if config.dice or config.focal:
        parts |= _mask_losses(trainee, outputs, assigned[-1, :, 0], batch, config)
    if config.token or config.token_box:
        parts |= _token_losses(trainee.tokens(outputs).float(), batch, config)
    return parts


def _label_loss(logits: Tensor, assigned: Tensor, batch: Batch, config: LossConfig) -> Tensor:
    """Cross-entropy, summed over the layers."""
    classes = logits.shape[-1]
    shown = batch.present[..., None] & (batch.visible | (config.absent == "category"))
    # [B, N, T] -> [L, B, G, T, N], scattered to slots; padding goes to a slot beyond the last.
    wanted = torch.where(shown, batch.labels[..., None], classes - 1).transpose(1, 2)
    wanted = wanted[None, :, None].expand(*assigned.shape[:3], -1, -1)
    spare = logits.shape[-2]
    index = torch.where(batch.present[:, None], assigned, spare)[..., None, :].expand_as(wanted)
    targets = wanted.new_full((*logits.shape[:-2], spare + 1), classes - 1)
    targets = targets.scatter(-1, index, wanted)[..., :spare]
    weight = logits.new_ones(classes)
    weight[-1] = config.no_object
    pairs = zip(logits.flatten(1, -2), targets.flatten(1), strict=True)
    return torch.stack([F.cross_entropy(*pair, weight) for pair in pairs]).sum()


def _box_losses(
    boxes: Tensor, assigned: Tensor, batch: Batch, config: LossConfig
) -> dict[str, Tensor]:
    """L1 and generalised IoU over the visible frames, summed over the layers."""
    groups, frames = boxes.shape[2:4]
    index = assigned[..., None, :, None].expand(-1, -1, -1, frames, -1, 4)
    found = boxes.gather(-2, index)
    wanted = batch.boxes.transpose(1, 2)[None, :, None]
    share = batch.visible.transpose(1, 2)[None, :, None].float()
    share = share / (groups * share.sum()).clamp(min=1)
    distance = (found - wanted).abs().sum(-1)
    return {
        "box": config.box * (distance * share).sum(),
        "giou": config.giou * ((1 - pair_giou(found, wanted)) * share).sum(),
    }


def _mask_losses(
    trainee: Trainee, outputs: Outputs, slots: Tensor, batch: Batch, config: LossConfig
) -> dict[str, Tensor]:
    """Dice and focal loss of the masks of matched slots, frame by frame."""
    if not batch.present.any():
        zero = outputs.logits.new_zeros(())
        return {"dice": zero, "focal": zero}
    counted = batch.present[..., None] & (batch.visible | (config.absent == "category"))
    clips, objects = batch.present.nonzero(as_tuple=True)
    found = trainee.masks(outputs, clips, slots[clips, objects]).float()
    size = [-(-side // config.mask_stride) for side in batch.masks.shape[-2:]]
    found = F.interpolate(found, size, mode="bilinear", align_corners=False)
    wanted = F.interpolate(batch.masks[batch.present].float(), size, mode="area")
    share = counted[batch.present].float()
    share = share / share.sum().clamp(min=1)
    dice = _dice_loss(found.sigmoid().flatten(2), wanted.flatten(2))
    focal = sigmoid_focal_loss(found, wanted).flatten(2).mean(2)
    return {
        "dice": config.dice * (dice * share).sum(),
        "focal": config.focal * (focal * share).sum(),
    }


def _dice_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """One minus the dice coefficient [...] of probabilities and masks [..., pixels].

    Source: V-Net (Milletari et al., 3DV 2016); the ones as DETR has them.
    """
    shared = (found * wanted).sum(-1)
    return 1 - (2 * shared + 1) / (found.sum(-1) + wanted.sum(-1) + 1)


def _token_losses(told: Tensor, batch: Batch, config: LossConfig) -> dict[str, Tensor]:
    """What tokens say, [2, B, T, C + 4, h, w], of the objects that cover most of them.

    Values carry no positions in a DETR, so a decoder learns where objects are only from what the
    memory holds of it, and what they are from what the losses of boxes leave of it there.
    """
    frames, grid = told.shape[2], told.shape[-2:]
    covered = F.adaptive_avg_pool2d(batch.masks.flatten(1, 2).float(), (grid[0], grid[1]))
    covered = covered.view(len(covered), -1, frames, *grid).transpose(1, 2)
    # No object at all is one more, the last, of class 0.
    share, nearest = F.pad(covered, (0, 0, 0, 0, 0, 1)).max(2)
    shown = share > COVERED
    labels = F.pad(batch.labels, (0, 1))[:, None, :, None, None].expand(-1, frames, -1, *grid)
    targets = labels.gather(2, nearest[:, :, None])[:, :, 0] * shown
    index = nearest.flatten(2)[..., None].expand(-1, -1, -1, 4)
    boxes = F.pad(batch.boxes, (0, 0, 0, 0, 0, 1)).transpose(1, 2).gather(2, index)
    wanted = boxes.view(*nearest.shape, 4)[shown]
    weight = told.new_ones(told.shape[3] - 4)
    weight[0] = TOKEN_BACKGROUND
    label = box = told.new_zeros(())
    for stage in told:
        label = label + F.cross_entropy(stage[:, :, :-4].movedim(2, 1), targets, weight)
        found = stage[:, :, -4:].movedim(2, -1)[shown].sigmoid()
        # In the published ratio of the two.
        distance = 5 * (found - wanted).abs().sum(-1) + 2 * (1 - pair_giou(found, wanted))
        box = box + distance.sum() / max(1, len(wanted))
    return {"token": config.token * label, "token_box": config.token_box * box}
