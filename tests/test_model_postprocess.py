"""The golden results are compared in test_model_golden."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from model.postprocess import all_finite, box_logits, clip_scores, slot_scores


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
    logits = torch.nn.functional.one_hot(votes, 6).float()
    assert clip_scores(logits, 4)[1] == [1, 0, 2]


def test_frames_of_hardly_any_score_have_no_mask() -> None:
    frames = [[0.0, 0.9, 0.1], [0.0, 0.0009, 0.9991], [0.0, 0.0011, 0.9989], [0.0, 0.9, 0.1]]
    scores, categories, shown = clip_scores(logits_of([[frame] for frame in frames]), length=3)
    assert scores == pytest.approx([0.902 / 3], abs=1e-4)
    assert categories == [1]
    assert shown == [[True], [False], [True]]


def test_a_box_covers_the_centres_that_lie_in_it_and_one_at_least() -> None:
    boxes = torch.tensor([[[0.5, 0.5, 0.5, 0.5]], [[1.0, 0.0, 0.26, 0.3]], [[0.4, 0.6, 0.0, 0.0]]])
    inside = box_logits(boxes, (4, 8))[:, 0] > 0
    expected = torch.zeros(3, 4, 8, dtype=torch.bool)
    expected[0, 1:3, 2:6] = True
    expected[1, 0, 7] = True
    expected[2, 2, 3] = True
    assert torch.equal(inside, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_one_number_that_is_not_finite_shows(dtype: torch.dtype) -> None:
    numbers = torch.full((3, 50_000), 60_000.0).to(dtype)  # whose sum float16 could not hold
    assert all_finite(numbers)
    for wrong in (torch.nan, torch.inf, -torch.inf):
        numbers[1, 7] = wrong
        assert not all_finite(numbers)
    assert all_finite(numbers[:0])
