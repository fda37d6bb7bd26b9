"""Frames wait for their windows and leave once, in order, with merged masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from streamer.frame import Epoch, Region
from streamer.mask import CroppedMask
from streamer.output import FrameResult
from streamer.stitching.merger import FrameMerger, centre_weights
from streamer.stitching.track import Identity
from streamer.window import Prediction, Window
from tests.scripted_predictor import make_epoch, make_frame, make_frames

NAMES = ["dummy", "cat", "dog"]
CAT, DOG = Identity(7, 1), Identity(3, 2)
BOX = (5, 10, 6, 8)  # top, left, height, width at 20x40


def window_of(epoch: Epoch, indices: Sequence[int], *, leaving: int, new: int = 0) -> Window:
    frames = tuple(make_frame(epoch, index) for index in indices[len(indices) - new :])
    return Window(tuple(indices), len(indices), frames, leaving)


def predict(
    frames: int,
    boxes: Sequence[tuple[int, int, int, int]] = (BOX,),
    *,
    scores: Sequence[float] = (0.9,),
    inside: float = 5,
    outside: float = -5,
) -> Prediction:
    """Rectangles (top, left, height, width) in masks of 20x40."""
    count = len(boxes)
    masks = np.full((frames, count, 20, 40), outside, np.float32)
    for slot, (top, left, height, width) in enumerate(boxes):
        masks[:, slot, top : top + height, left : left + width] = inside
    return Prediction(
        scores=np.array(scores[:count], np.float32),
        class_votes=np.zeros((count, 3), np.float32),
        embeddings=np.zeros((count, 4), np.float32),
        boxes=np.zeros((frames, count, 4), np.float32),
        presence=np.ones((frames, count), np.bool_),
        masks=masks,
        colours=np.zeros((frames, count, 0), np.float32),
    )


def merger_with(
    count: int, *, emit_delay: int = 0, size: tuple[int, int] = (20, 40)
) -> FrameMerger:
    merger = FrameMerger(emit_delay, NAMES)
    for frame in make_frames(make_epoch(size), count):
        merger.add(frame)
    return merger


def indices_of(results: Sequence[FrameResult]) -> list[int]:
    return [result.frame.index for result in results]


def test_emit_delay_zero_gives_frames_out_with_their_first_window() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(6)

    assert indices_of(merger.merge(window_of(epoch, range(4), leaving=2), predict(4), [CAT])) == [
        0,
        1,
        2,
        3,
    ]
    # The window holds frames that have left: only the new ones come.
    assert indices_of(
        merger.merge(window_of(epoch, range(2, 6), leaving=2), predict(4), [CAT])
    ) == [
        4,
        5,
    ]
    assert merger.pending == 0


def test_emit_delay_waits_for_later_windows_or_for_leaving() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(10, emit_delay=1)

    first = merger.merge(window_of(epoch, range(6), leaving=2), predict(6), [CAT])
    assert indices_of(first) == [0, 1]  # leaving
    second = merger.merge(window_of(epoch, range(2, 8), leaving=2), predict(6), [CAT])
    assert indices_of(second) == [2, 3, 4, 5]  # two windows
    last = merger.merge(window_of(epoch, range(4, 10), leaving=6), predict(6), [CAT])
    assert indices_of(last) == [6, 7, 8, 9]  # a closing window: all leave
    assert merger.flush() == []


def test_frames_that_a_grown_stride_passed_over_leave_with_the_window_that_follows() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(8, emit_delay=1)
    first = merger.merge(window_of(epoch, range(4), leaving=2), predict(4), [CAT])
    assert indices_of(first) == [0, 1]
    second = merger.merge(window_of(epoch, range(4, 8), leaving=2), predict(4), [CAT])
    assert indices_of(second) == [2, 3, 4, 5]  # no window holds 2 and 3 any more


def test_flush_gives_out_what_windows_covered() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(4, emit_delay=3)
    assert merger.merge(window_of(epoch, range(4), leaving=0), predict(4), [CAT]) == []
    assert merger.pending == 4
    assert indices_of(merger.flush()) == [0, 1, 2, 3]


@pytest.mark.parametrize(("area", "shown"), [(3, False), (4, True)])
def test_a_sliver_of_a_pixel_of_the_network_is_not_there(area: int, shown: bool) -> None:
    # Frames are four times as high and as wide as masks: a pixel of those is 16 of a frame.
    mask = np.zeros((80, 160), np.bool_)
    mask[10, 20 : 20 + area] = True
    merger = FrameMerger(0, NAMES, upsample=lambda logits, *_: [CroppedMask.from_array(mask)] * 2)
    for frame in make_frames(make_epoch((80, 160)), 2):
        merger.add(frame)
    window = window_of(make_epoch((80, 160)), range(2), leaving=2)
    results = merger.merge(window, predict(2), [CAT])
    assert [len(result.instances) for result in results] == [int(shown)] * 2


def test_what_a_small_region_of_a_large_frame_shows_is_no_sliver() -> None:
    epoch = make_epoch((400, 800), region=Region(0, 0, 20, 40))
    merger = FrameMerger(0, NAMES)
    merger.add(make_frame(epoch, 0))
    (result,) = merger.merge(window_of(epoch, [0], leaving=1), predict(1), [CAT])
    assert [instance.segment.area for instance in result.instances] == [6 * 8]


def test_logits_and_scores_are_averaged_with_weights_that_favour_the_centre() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(5, emit_delay=1)
    weights = centre_weights(3)
    assert weights.tolist() == [0.5, 1, 0.5]
    # Frame 2 is last in the first window (1/2) and second in the other (1): 2.5 - 4 < 0.
    merger.merge(window_of(epoch, range(3), leaving=1), predict(3, scores=[0.9]), [CAT])
    there = merger.merge(
        window_of(epoch, range(1, 4), leaving=2), predict(3, scores=[0.6], inside=-4), [CAT]
    )

    by_index = {result.frame.index: result.instances for result in there}
    # Frame 1: 5·1 - 4·½ > 0.
    assert by_index[1][0].score == pytest.approx((0.9 * 1 + 0.6 * 0.5) / 1.5)
    assert by_index[1][0].bbox_xywh == (10, 5, 8, 6)
    assert by_index[2] == ()


@pytest.mark.parametrize("length", [1, 2, 5, 36])
def test_weights_are_positive_and_symmetric(length: int) -> None:
    weights = centre_weights(length)
    assert weights.shape == (length,)
    assert weights.dtype == np.float32
    assert weights.min() > 0
    assert weights.max() == 1
    assert (weights == weights[::-1]).all()


def test_a_track_in_one_of_two_windows_is_shown() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(3, emit_delay=1)
    merger.merge(window_of(epoch, range(2), leaving=1), predict(2), [CAT])
    results = merger.merge(window_of(epoch, range(1, 3), leaving=2), predict(2, [], scores=[]), [])

    assert [len(result.instances) for result in results] == [1, 0]
    assert results[0].instances[0].score == pytest.approx(0.9)


def test_a_window_that_does_not_see_its_track_in_a_frame_has_a_say_in_the_score() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(3, emit_delay=1)
    merger.merge(window_of(epoch, range(2), leaving=1), predict(2, scores=[0.9]), [CAT])
    unsure = predict(2, scores=[0.5])
    unsure.presence[0] = False
    (result, _) = merger.merge(window_of(epoch, range(1, 3), leaving=2), unsure, [CAT])
    (instance,) = result.instances
    assert instance.score == pytest.approx((0.9 + 0.5) / 2)


def test_absent_empty_and_left_out_slots_show_nothing() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(2)
    prediction = predict(2, [BOX, BOX, (0, 0, 0, 0)], scores=[0.9, 0.8, 0.7])
    prediction.presence[1, 0] = False
    results = merger.merge(
        window_of(epoch, range(2), leaving=2), prediction, [CAT, None, Identity(9, 1)]
    )

    assert [[i.track_id for i in result.instances] for result in results] == [[7], []]


def test_instances_are_named_and_sorted_by_score_then_id() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(1)
    boxes = [BOX, (0, 0, 4, 4), (12, 30, 4, 4)]
    prediction = predict(1, boxes, scores=[0.5, 0.5, 0.75])
    (result,) = merger.merge(
        window_of(epoch, [0], leaving=1), prediction, [CAT, DOG, Identity(4, 1)]
    )

    said = [(i.track_id, i.category_id, i.category, i.score) for i in result.instances]
    assert said == [(4, 1, "cat", 0.75), (3, 2, "dog", 0.5), (7, 1, "cat", 0.5)]
    assert result.instances[1].bbox_xywh == (0, 0, 4, 4)


def test_the_newest_window_names_the_category() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(2, emit_delay=1)
    merger.merge(window_of(epoch, [0], leaving=0), predict(1), [CAT])
    results = merger.merge(window_of(epoch, [0, 1], leaving=2), predict(2), [Identity(7, 2)])
    assert [result.instances[0].category for result in results] == ["dog", "dog"]


def test_masks_lie_where_the_region_is() -> None:
    epoch = make_epoch((100, 200), region=Region(top=30, left=50, height=40, width=80))
    merger = FrameMerger(0, NAMES)
    merger.add(make_frame(epoch, 0))
    (result,) = merger.merge(window_of(epoch, [0], leaving=1), predict(1), [CAT])

    (instance,) = result.instances
    assert instance.bbox_xywh == (50 + 20, 30 + 10, 16, 12)
    assert instance.mask().shape == (100, 200)
    assert instance.mask()[40:52, 70:86].all()


# Holes, epochs, early ends.


def test_holes_are_counted_before_the_frame_that_follows_them() -> None:
    epoch, merger = make_epoch((20, 40)), FrameMerger(0, NAMES)
    indices = [3, 4, 9]
    for index in indices:
        merger.add(make_frame(epoch, index))
    results = merger.merge(window_of(epoch, indices, leaving=3), predict(3), [CAT])
    assert [result.dropped for result in results] == [3, 0, 4]
    assert merger.flush() == []

    # The next epoch goes on counting.
    other = make_epoch((20, 40), index=1, reason="reconnect")
    merger.add(make_frame(other, 12))
    (result,) = merger.merge(window_of(other, [12], leaving=1), predict(1), [CAT])
    assert result.dropped == 2


def test_frames_between_epochs_are_not_interpolated_across_them() -> None:
    epoch, merger = make_epoch((20, 40)), FrameMerger(0, NAMES)
    merger.add(make_frame(epoch, 0))
    merger.merge(window_of(epoch, [0], leaving=1), predict(1), [CAT])
    merger.flush()
    other = make_epoch((20, 40), index=1, reason="loop")
    for index in (1, 2, 3):
        merger.add(make_frame(other, index))
    results = merger.merge(window_of(other, [1, 3], leaving=2), predict(2, [], scores=[]), [])
    assert [(r.frame.index, r.interpolated, r.instances) for r in results] == [
        (1, False, ()),
        (2, True, ()),
        (3, False, ()),
    ]


def test_discard_drops_what_no_window_covered() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(9, emit_delay=1)
    merger.merge(window_of(epoch, range(0, 5, 2), leaving=0), predict(3), [CAT])

    assert merger.discard() == 4  # 5 to 8; frames 1 and 3 lie between key frames
    assert indices_of(merger.flush()) == [0, 1, 2, 3, 4]
    assert merger.discard() == 0


def test_frames_without_any_key_frame_stay_until_discarded() -> None:
    merger = merger_with(3)
    assert merger.flush() == []
    assert merger.discard() == 3
    assert merger.pending == 0


# Frames in between.


def test_frames_in_between_wait_for_the_key_frame_that_follows() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(6)
    first = merger.merge(window_of(epoch, [0], leaving=0), predict(1), [CAT])
    assert indices_of(first) == [0]
    assert merger.pending == 5

    moved = predict(2, [(5, 16, 6, 8)])
    second = merger.merge(window_of(epoch, [0, 3], leaving=0), moved, [CAT])
    assert indices_of(second) == [1, 2, 3]
    assert [result.interpolated for result in second] == [True, True, False]
    # From 10 to 16 in three frames.
    assert [r.instances[0].bbox_xywh for r in second] == [
        (12, 5, 8, 6),
        (14, 5, 8, 6),
        (16, 5, 8, 6),
    ]
    # The end: from the key frame before alone.
    rest = merger.flush()
    assert indices_of(rest) == [4, 5]
    assert all(r.interpolated and r.instances[0].bbox_xywh == (16, 5, 8, 6) for r in rest)


def test_holes_are_counted_before_frames_in_between_too() -> None:
    epoch, merger = make_epoch((20, 40)), FrameMerger(0, NAMES)
    for index in (0, 1, 2, 5, 6, 7, 8):
        merger.add(make_frame(epoch, index))
    results = merger.merge(window_of(epoch, (0, 2, 6, 8), leaving=4), predict(4), [CAT])
    assert [(r.frame.index, r.interpolated, r.dropped) for r in results] == [
        (0, False, 0),
        (1, True, 0),
        (2, False, 0),
        (5, True, 2),
        (6, False, 0),
        (7, True, 0),
        (8, False, 0),
    ]


@pytest.mark.parametrize("is_absent", [False, True])
def test_one_object_in_two_slots_is_what_shows_it(is_absent: bool) -> None:
    """It was hidden in between; the slot that does not show it says nothing of it.

    Nor does one that is absent, whatever its mask.
    """
    merger = merger_with(3)
    window = window_of(merger._pending[0].frame.epoch, [0, 1, 2], leaving=3)
    both = predict(3, [BOX, BOX], scores=[0.9, 0.6])
    if is_absent:
        both.presence[1:, 0] = both.presence[:2, 1] = False
    else:
        both.masks[1:, 0] = both.masks[:2, 1] = -5
    first, between, last = merger.merge(window, both, [CAT, CAT])
    assert [one.track_id for one in (*first.instances, *last.instances)] == [7, 7]
    assert [first.instances[0].score, last.instances[0].score] == pytest.approx([0.9, 0.6])
    assert first.instances[0].segment.area == last.instances[0].segment.area == 48
    assert between.instances == ()


def test_what_does_not_fit_is_refused() -> None:
    epoch, merger = make_epoch((20, 40)), merger_with(2)
    window = window_of(epoch, [0, 1], leaving=2)
    with pytest.raises(ValueError, match="frame 1 after frame 1: indices must ascend"):
        merger.add(make_frame(epoch, 1))
    with pytest.raises(ValueError, match="a prediction of 3 frames for a window of 2"):
        merger.merge(window, predict(3), [CAT])
    with pytest.raises(ValueError, match="2 identities for 1 slots"):
        merger.merge(window, predict(2), [CAT, DOG])
    with pytest.raises(ValueError, match=r"track 7 in slots \[0, 1\] of frame 0"):
        merger.merge(window, predict(2, [BOX, BOX], scores=[0.9, 0.8]), [CAT, CAT])
    with pytest.raises(ValueError, match="frame 2, which was never added"):
        merger.merge(window_of(epoch, [1, 2], leaving=2), predict(2), [CAT])

    # Nothing of that left a trace.
    results = merger.merge(window, predict(2), [CAT])
    assert [len(result.instances) for result in results] == [1, 1]
    with pytest.raises(ValueError, match="frame 1 after frame 1"):
        merger.add(make_frame(epoch, 1))


def test_boxes_are_averaged_as_masks_are() -> None:
    epoch = make_epoch((200, 400))
    merger = FrameMerger(1, NAMES, boxes_only=True)
    for frame in make_frames(epoch, 6):
        merger.add(frame)

    def boxes(x: float, absent: int | None = None) -> Prediction:
        prediction = predict(4)
        prediction.boxes[:] = (x, 0.5, 0.2, 0.1)
        if absent is not None:
            prediction.presence[absent] = False
        return prediction

    results = merger.merge(window_of(epoch, range(4), leaving=2), boxes(0.3, absent=2), [CAT])
    results += merger.merge(window_of(epoch, range(2, 6), leaving=4), boxes(0.5), [CAT])
    found = [result.instances[0].bbox_xywh for result in results]
    # Frames 2 and 3 are in both windows: in frame 2 the first sees nothing; in frame 3 its weight
    # is half of the second's.
    assert [left for left, *_ in found] == [80, 80, 160, 133, 160, 160]
    assert {box[1:] for box in found} == {(90, 80, 20)}
