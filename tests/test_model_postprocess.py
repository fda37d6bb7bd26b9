"""The golden results are compared in test_model_golden."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model import VisTROutput
from model.postprocess import clip_results, slot_categories, slot_scores


def logits_of(probabilities: list[list[list[float]]]) -> Tensor:
    return torch.tensor(probabilities).log()


def test_scores_leave_no_object_out() -> None:
    logits = logits_of([[[0.1, 0.3, 0.6]], [[0.5, 0.2, 0.3]]])
    scores, frame_scores, frame_categories = slot_scores(logits)
    torch.testing.assert_close(frame_scores, torch.tensor([[0.3], [0.5]]))
    torch.testing.assert_close(scores, torch.tensor([0.4]))
    assert frame_categories.tolist() == [[1], [0]]


def test_scores_of_half_precision_are_float32() -> None:
    scores, frame_scores, _ = slot_scores(torch.zeros(2, 3, 4, dtype=torch.bfloat16))
    assert scores.dtype == frame_scores.dtype == torch.float32


def test_the_lowest_of_equally_frequent_categories_wins() -> None:
    votes = torch.tensor([[3, 0, 2], [1, 4, 2], [1, 4, 2], [3, 0, 1]])
    assert slot_categories(votes, 5).tolist() == [1, 0, 2]


def output_of(masks: Tensor, confident: float = 0.9) -> VisTROutput:
    frames, slots = masks.shape[:2]
    probabilities = torch.tensor([0.0, confident, 1 - confident]).clamp(1e-9)
    return VisTROutput(
        probabilities.log().expand(frames, slots, 3), torch.zeros(frames, slots, 4), masks
    )


def test_slots_without_a_pixel_are_dropped() -> None:
    masks = torch.full((3, 3, 4, 6), -1.0)
    masks[1, 2, 2:, 3:] = 1
    masks[2, 0] = 1  # in a frame that only repeats another
    (instance,) = clip_results(output_of(masks), length=2, size=(8, 12))
    assert instance.category_id == 1
    assert instance.score == pytest.approx(0.9)
    assert len(instance.masks) == 2
    first, second = instance.masks
    assert first is not None
    assert second is not None
    assert first.shape == second.shape == (8, 12)
    assert not first.any()
    assert second.sum() == 4 * 6


def test_frames_of_hardly_any_score_have_no_mask() -> None:
    output = output_of(torch.ones(2, 1, 4, 4))
    output.logits.data = output.logits.clone()
    output.logits[1] = torch.tensor([1e-4, 1e-4, 1.0]).log()
    (instance,) = clip_results(output, length=2, size=(4, 4))
    assert instance.masks[0] is not None
    assert instance.masks[1] is None


def test_half_precision_masks_are_taken() -> None:
    output = output_of(torch.ones(2, 1, 4, 4, dtype=torch.bfloat16))
    (instance,) = clip_results(output, length=1, size=(9, 7))
    assert instance.masks[0] is not None
    assert instance.masks[0].all()


@pytest.mark.parametrize("length", [0, 3])
def test_a_length_beyond_the_window_is_an_error(length: int) -> None:
    with pytest.raises(ValueError, match=f"length is {length}, expected from 1 to 2"):
        clip_results(output_of(torch.ones(2, 1, 4, 4)), length, (4, 4))
