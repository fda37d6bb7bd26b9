"""The losses, against plain loops over NumPy arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

import pytest
import torch
from torch import Tensor

from tests.reference_criterion import reference_losses
from tests.training_cases import (
    Told,
    one_after_the_other,
    padded,
    random_answers,
    random_batch,
    tiny_trainee,
    with_masks,
)
from training.criterion import LossConfig, losses
from training.matcher import MatchCosts
from training.network import Trainee
from training.targets import Batch

Absent = Literal["no_object", "category"]
BOTH: tuple[Absent, ...] = ("no_object", "category")
SURE = 30.0
ROUNDING = 1e-9
CONFIG = LossConfig(
    label=1.5,
    box=3.0,
    giou=0.7,
    dice=2.0,
    focal=11.0,
    token=1.3,
    token_box=0.7,
    no_object=0.2,
    match=MatchCosts(label=1.2, box=2.0, giou=0.5),
)


def judged(told: Told, batch: Batch, config: LossConfig = CONFIG) -> dict[str, Tensor]:
    return losses(cast("Trainee", told), batch, config)


def values(parts: dict[str, Tensor]) -> dict[str, float]:
    return {name: part.item() for name, part in parts.items()}


@pytest.mark.parametrize("absent", BOTH)
@pytest.mark.parametrize(
    ("mask_stride", "layers", "groups"), [(1, 1, 1), (2, 3, 1), (4, 2, 2), (1, 2, 3)]
)
def test_losses_are_those_of_plain_loops(
    absent: Absent, mask_stride: int, layers: int, groups: int
) -> None:
    batch = random_batch([[2, 2, 5], [], [1], [3, 4]], frames=3)
    told = random_answers(batch, layers=layers, groups=groups)
    config = replace(CONFIG, absent=absent, mask_stride=mask_stride)
    parts = judged(told, batch, config)
    assert values(parts) == pytest.approx(reference_losses(told, batch, config), rel=1e-4)


def test_masks_and_tokens_without_a_weight_are_left_out() -> None:
    batch = random_batch([[2]])
    without = LossConfig(dice=0, focal=0)
    assert set(judged(random_answers(batch), batch, without)) == {"label", "box", "giou"}
    assert set(judged(random_answers(batch), batch, LossConfig())) == {
        *("label", "box", "giou", "dice", "focal")
    }


@pytest.mark.parametrize("name", ["dice", "focal", "token", "token_box"])
def test_each_loss_of_masks_and_tokens_may_be_the_only_one(name: str) -> None:
    weights = {**dict.fromkeys(["dice", "focal", "token", "token_box"], 0.0), name: 1.0}
    batch = random_batch([[2]])
    parts = judged(random_answers(batch), batch, LossConfig(**weights))  # type: ignore[arg-type]
    assert parts[name] > 0


@pytest.mark.parametrize("absent", BOTH)
def test_padding_changes_no_loss(absent: Absent) -> None:
    batch = random_batch([[2, 2, 5], [1]])
    told = random_answers(batch, groups=2)
    config = replace(CONFIG, absent=absent)
    parts = values(judged(told, batch, config))
    assert values(judged(told, padded(batch, 2), config)) == pytest.approx(parts)


def right(batch: Batch, slots: tuple[int, ...], absent: Absent) -> Told:
    """What slots have to say of a clip of two objects, as sure as can be."""
    told = random_answers(batch, layers=2, groups=2)
    labels = torch.full(told.logits.shape[:-1], told.logits.shape[-1] - 1)
    masks = torch.full_like(told.slot_masks, -SURE)
    for i, slot in enumerate(slots):
        seen = batch.visible[0, i]
        labels[:, :, :, seen | (absent == "category"), slot] = batch.labels[0, i]
        told.boxes[:, :, :, seen, slot] = batch.boxes[0, i, seen]
        masks[0, slot][batch.masks[0, i, :, ::4, ::4]] = SURE
    logits = torch.zeros_like(told.logits).scatter_(-1, labels[..., None], SURE)
    return replace(told, logits=logits, slot_masks=masks)


def blocks(labels: list[int]) -> Batch:
    """Two objects on the mask head's grid, each hidden in one of three frames."""
    batch = random_batch([labels], size=(32, 48))
    masks = torch.zeros_like(batch.masks)
    masks[0, 0, :2, 4:16, 8:20] = True
    masks[0, 1, 1:, 16:32, 24:44] = True
    return with_masks(batch, masks)


@pytest.mark.parametrize("absent", BOTH)
@pytest.mark.parametrize("labels", [[3, 3], [1, 6]])
def test_right_answers_cost_nothing(absent: Absent, labels: list[int]) -> None:
    batch = blocks(labels)
    config = LossConfig(absent=absent, mask_stride=4)
    told = right(batch, (2, 0), absent)
    assert sum(values(judged(told, batch, config)).values()) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("absent", "other"), [BOTH, BOTH[::-1]])
def test_what_slots_say_of_hidden_objects_is_as_asked(absent: Absent, other: Absent) -> None:
    batch = blocks([1, 2])
    told = right(batch, (2, 0), other)
    parts = values(judged(told, batch, LossConfig(absent=absent, mask_stride=4)))
    assert parts.pop("label") > 1
    assert sum(parts.values()) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("absent", "counts"), [("no_object", False), ("category", True)])
def test_masks_of_hidden_objects_are_to_be_empty_if_their_category_is_asked_for(
    absent: Absent, counts: bool
) -> None:
    batch = blocks([1, 2])
    told = right(batch, (2, 0), absent)
    told.slot_masks[0, 2, 2, 2:5] = SURE  # the first object is hidden in the third frame
    parts = values(judged(told, batch, LossConfig(absent=absent, mask_stride=4)))
    assert (parts["dice"] > 0.1) is counts
    assert (parts["focal"] > 0.1) is counts
    assert parts["label"] == pytest.approx(0, abs=1e-5)


def test_objects_are_compared_in_their_own_frames_whatever_slots_they_have() -> None:
    batch = one_after_the_other()
    told = right(batch, (1, 0), "no_object")
    parts = values(judged(told, batch))
    assert parts["box"] == pytest.approx(0, abs=1e-5)
    assert parts["giou"] == pytest.approx(0, abs=1e-5)
    # The published code takes the visible frames by rank, in the order of the slots: here those in
    # which the object is hidden.
    by_rank = replace(batch, visible=batch.visible.flip(1))
    assert values(judged(told, by_rank))["box"] > 1


def test_every_layer_and_group_counts() -> None:
    batch = random_batch([[2, 5]])
    told = random_answers(batch, layers=2, groups=2)
    for tensor in (told.logits, told.boxes):
        tensor.requires_grad_()
    sum(judged(told, batch).values(), torch.zeros(())).backward()
    for gradient in (told.logits.grad, told.boxes.grad):
        assert gradient is not None
        assert gradient.abs().sum((1, 3, 4, 5)).all()


@pytest.mark.parametrize("deformable", [False, True])
def test_gradients_reach_every_parameter(deformable: bool) -> None:
    trainee = tiny_trainee(groups=2, deformable=deformable).double()
    batch = random_batch([[2, 2, 5], [1]])
    sum(losses(trainee, batch, CONFIG).values(), torch.zeros(())).backward()
    still = {
        name
        for name, parameter in trainee.named_parameters()
        if parameter.grad is None or parameter.grad.abs().max() < ROUNDING
    }
    # What the first layer's queries tell each other is nothing yet: the decoder starts at zero.
    assert still == {"net.vistr.transformer.decoder.layers.0.self_attn.in_proj_weight"}


def test_batches_without_any_object_teach_that_there_is_none() -> None:
    trainee = tiny_trainee(groups=2)
    batch = random_batch([[], []])
    parts = losses(trainee, batch, CONFIG)
    sum(parts.values(), torch.zeros(())).backward()
    assert {name for name, value in values(parts).items() if value} == {"label", "token"}
    bias = trainee.net.vistr.class_embed.bias.grad
    assert bias is not None
    assert (bias[:-1] > 0).all()
    assert bias[-1] < 0
    gradients = [p.grad for p in trainee.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_half_precision_gives_nearly_the_same_losses() -> None:
    trainee, batch = tiny_trainee(groups=2), random_batch([[2, 5], [1]])
    with torch.no_grad():
        exact = values(losses(trainee, batch, CONFIG))
        with torch.autocast("cpu", torch.bfloat16):
            half = losses(trainee, batch, CONFIG)
    assert {part.dtype for part in half.values()} == {torch.float32}
    assert values(half) == pytest.approx(exact, rel=0.05)
