"""The assignment of slots to objects, against trying them all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.ops import box_convert, generalized_box_iou

from tests.reference_criterion import best_slots, cost_table
from tests.training_cases import (
    Told,
    one_after_the_other,
    padded,
    random_answers,
    random_batch,
    reordered,
    with_masks,
)
from training.matcher import MatchCosts, match, pair_giou
from training.targets import Batch

COSTS = MatchCosts(label=1.5, box=4.0, giou=0.7)
FAR = torch.tensor([0.9, 0.9, 0.05, 0.05])


def matched(told: Told, batch: Batch) -> Tensor:
    return match(told.logits, told.boxes, batch, COSTS)


def sum_of_costs(told: Told, batch: Batch, place: tuple[int, ...], slots: list[int]) -> float:
    layer, clip, group = place
    logits, boxes = told.logits[layer, clip, group], told.boxes[layer, clip, group]
    table = cost_table(logits, boxes, batch, clip, COSTS)
    return float(sum(table[slot, i] for i, slot in enumerate(slots)))


def test_generalised_iou_is_torchvisions() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand((2, 50, 4), generator=generator, dtype=torch.float64)
    first[:3] = torch.tensor([[0.5, 0.5, 1, 1], [0.1, 0.1, 0.1, 0.1], [0.2, 0.5, 0.2, 0.2]])
    second[:3] = torch.tensor([[0.4, 0.6, 0.1, 0.3], [0.8, 0.9, 0.2, 0.1], [0.4, 0.5, 0.2, 0.2]])
    corners = [box_convert(boxes, "cxcywh", "xyxy") for boxes in (first, second)]
    expected = generalized_box_iou(*corners)
    torch.testing.assert_close(pair_giou(first[:, None], second), expected)


def test_generalised_iou_of_points_is_a_number_and_has_a_gradient() -> None:
    assert pair_giou(torch.zeros(4), torch.zeros(4)) == 0
    points = torch.full((3, 4), 0.5).requires_grad_()
    with torch.no_grad():
        points[0, 2:], points[1, 2:], points[2, 2:] = 0, 1e-25, 1e-12
    pair_giou(points, torch.tensor([0.5, 0.5, 0, 0])).sum().backward()
    assert points.grad is not None
    assert points.grad.isfinite().all()


def test_slots_are_the_cheapest_of_all_for_each_layer_clip_and_group() -> None:
    batch = random_batch([[2, 2], [5], [], [1, 3, 4, 2]], frames=3)
    told = random_answers(batch, layers=3, groups=2, slots=5)
    assigned = matched(told, batch)
    assert assigned.shape == (3, 4, 2, 4)
    counts = batch.present.sum(1).tolist()
    for layer, clip, group in np.ndindex(3, 4, 2):
        place, real = (layer, clip, group), counts[clip]
        chosen = assigned[place][:real].tolist()
        assert len(set(chosen)) == real
        logits, boxes = told.logits[place], told.boxes[place]
        best = best_slots(cost_table(logits, boxes, batch, clip, COSTS))
        assert sum_of_costs(told, batch, place, chosen) == pytest.approx(
            sum_of_costs(told, batch, place, list(best)), abs=1e-5
        )
        assert not assigned[place][real:].any()


def test_objects_in_another_order_get_the_same_slots() -> None:
    batch = random_batch([[2, 2, 6], [1, 3, 4]], frames=3)
    told = random_answers(batch, groups=2)
    order = [2, 0, 1]
    expected = matched(told, batch)[..., order]
    assert matched(told, reordered(batch, order)).tolist() == expected.tolist()


def test_padding_changes_no_slot() -> None:
    batch = random_batch([[2, 2, 6], [1]], frames=2)
    told = random_answers(batch)
    assigned = matched(told, padded(batch, 3))
    assert assigned[..., :3].tolist() == matched(told, batch).tolist()
    assert not assigned[..., 3:].any()


def answers_with(batch: Batch, boxes: Tensor) -> Told:
    """Boxes [T, K, 4] for the batch's one clip, and classes that decide nothing."""
    told = random_answers(batch, layers=1, slots=boxes.shape[1])
    return replace(told, logits=torch.zeros_like(told.logits), boxes=boxes[None, None, None])


def test_an_object_is_judged_where_it_is_visible_itself() -> None:
    batch = one_after_the_other()
    first, second = batch.boxes[0, 0, 0], batch.boxes[0, 1, 1]
    # Slot 0 is right about the second object in its frame, slot 1 about the first one in its.
    boxes = torch.stack((torch.stack((FAR, first)), torch.stack((second, FAR))))
    told = answers_with(batch, boxes)
    assert matched(told, batch)[0, 0, 0].tolist() == [1, 0]
    # Each judged in the other's frames, as the published code pairs them: there neither is there.
    exchanged = replace(batch, visible=batch.visible.flip(1))
    assert matched(told, exchanged)[0, 0, 0].tolist() != [1, 0]


def test_frames_in_which_an_object_is_hidden_cost_nothing() -> None:
    batch = random_batch([[2]], frames=2)
    masks = torch.zeros_like(batch.masks)
    masks[0, 0, 0, :10, :10] = True
    batch = with_masks(batch, masks)
    right = batch.boxes[0, 0, 0]
    # Slot 0 is right where the object is and elsewhere then; slot 1 nearly right, then at zero,
    # where the box of a hidden object is: the mean over all frames would take it.
    boxes = torch.stack((torch.stack((right, right + 0.02)), torch.stack((FAR, torch.zeros(4)))))
    told = answers_with(batch, boxes)
    assert matched(told, batch)[0, 0, 0].tolist() == [0]
    everywhere = replace(batch, visible=torch.ones_like(batch.visible))
    assert matched(told, everywhere)[0, 0, 0].tolist() == [1]


def test_as_many_objects_as_slots_are_all_matched_and_more_are_an_error() -> None:
    batch = random_batch([[1, 2, 3], [4]], frames=2)
    assert sorted(matched(random_answers(batch, slots=3), batch)[0, 0, 0].tolist()) == [0, 1, 2]
    with pytest.raises(ValueError, match="a clip has 3 objects, the network 2 slots"):
        matched(random_answers(batch, slots=2), batch)


def test_clips_without_objects_have_nothing_to_match() -> None:
    batch = random_batch([[], []], frames=2)
    assert matched(random_answers(batch, groups=2), batch).shape == (2, 2, 2, 0)
