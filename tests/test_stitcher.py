"""Identities in single windows made by hand: each rule of the stitcher alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from streamer.frame import Epoch
from streamer.stitching.stitcher import Stitcher
from streamer.stitching.track import Identity
from streamer.window import Prediction, Window
from tests.scripted_predictor import make_epoch, make_frame


def new_stitcher(memory: int = 360, accept: float = 0.3) -> Stitcher:
    return Stitcher(accept=accept, memory=memory)


def hand_window(epoch: Epoch, first: int, length: int, new: int, leaving: int) -> Window:
    indices = tuple(range(first, first + length))
    frames = tuple(make_frame(epoch, index) for index in indices[length - new :])
    return Window(indices, length, frames, leaving)


def hand_prediction(
    boxes: Sequence[tuple[int, int, int, int] | None],
    *,
    frames: int = 4,
    looks: Sequence[int] | None = None,
    categories: Sequence[int] | None = None,
) -> Prediction:
    """Still rectangles (top, left, height, width) in masks of 20x40; None is an empty slot."""
    count = len(boxes)
    masks = np.full((frames, count, 20, 40), -9, np.float32)
    cxcywh = np.zeros((frames, count, 4), np.float32)
    for slot, box in enumerate(boxes):
        if box is not None:
            top, left, height, width = box
            masks[:, slot, top : top + height, left : left + width] = 9
            centre = (left + width / 2) / 40, (top + height / 2) / 20
            cxcywh[:, slot] = *centre, width / 40, height / 20
    looks = range(count) if looks is None else looks
    categories = [1] * count if categories is None else categories
    return Prediction(
        scores=np.linspace(0.9, 0.6, count, dtype=np.float32),
        class_votes=np.eye(4, dtype=np.float32)[list(categories)].reshape(count, 4),
        embeddings=np.eye(8, dtype=np.float32)[list(looks)].reshape(count, 8),
        boxes=cxcywh,
        presence=np.ones((frames, count), np.bool_),
        masks=masks,
        colours=np.zeros((frames, count, 0), np.float32),
    )


@pytest.mark.parametrize("accept", [0.3, 0.1, 0])
def test_masks_apart_in_a_shared_frame_are_two_objects_however_alike(accept: float) -> None:
    epoch, stitcher = make_epoch(), new_stitcher(accept=accept)
    stitcher.identify(hand_window(epoch, 0, 4, 4, 2), hand_prediction([(2, 2, 6, 6)]))

    apart = hand_prediction([(10, 30, 6, 6)], looks=[0])
    assert stitcher.identify(hand_window(epoch, 2, 4, 2, 2), apart) == (Identity(2, 1),)


def test_masks_that_no_frame_shows_on_each_other_are_two_objects_at_one_place() -> None:
    """A disc in the hole of a ring: memory has no say where masks can tell."""
    epoch, stitcher = make_epoch(), new_stitcher()
    ring, disc = hand_prediction([(4, 4, 12, 12)]), hand_prediction([(8, 8, 4, 4)], looks=[0])
    ring.masks[disc.masks > 0] = -9
    stitcher.identify(hand_window(epoch, 0, 4, 4, 2), ring)
    assert track_ids(stitcher.identify(hand_window(epoch, 2, 4, 2, 2), disc)) == [2]


def test_a_faint_background_makes_no_two_objects_one() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    here, there = hand_prediction([(2, 2, 4, 4)]), hand_prediction([(12, 30, 4, 4)])
    for one in (here, there):
        one.masks[one.masks < 0] = -2.3
    stitcher.identify(hand_window(epoch, 0, 4, 4, 2), here)
    assert track_ids(stitcher.identify(hand_window(epoch, 2, 4, 2, 2), there)) == [2]


def test_masks_of_frames_in_which_neither_is_sure_to_be_are_no_evidence() -> None:
    """What is seen before them, and after them far away, is nobody who could have jumped."""
    epoch, stitcher = make_epoch(), new_stitcher()
    here, there = hand_prediction([(2, 2, 6, 6)]), hand_prediction([(12, 30, 6, 6)])
    unsure = np.where(there.masks > 0, np.float32(-0.3), there.masks)
    before = replace(here, masks=np.concatenate((here.masks[:2], unsure[2:])))
    stitcher.identify(hand_window(epoch, 0, 4, 4, 2), before)

    after = replace(there, masks=np.concatenate((unsure[:2], there.masks[2:])))
    assert track_ids(stitcher.identify(hand_window(epoch, 2, 4, 2, 2), after)) == [2]


def test_frames_in_which_a_track_did_not_show_count_against_who_shows_there() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    seen = in_turn(hand_prediction([(2, 2, 6, 6)], frames=6), range(3))
    stitcher.identify(hand_window(epoch, 0, 6, 6, 2), seen)

    # The two share one frame of four.
    other = hand_prediction([(2, 2, 6, 6)], frames=6, looks=[4], categories=[2])
    assert track_ids(stitcher.identify(hand_window(epoch, 2, 6, 2, 2), other)) == [2]


def test_without_overlap_the_expected_place_tells_twins_apart() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    twins = hand_prediction([(2, 2, 6, 6), (12, 30, 6, 6)], looks=[0, 0])
    stitcher.identify(hand_window(epoch, 0, 4, 4, 4), twins)

    swapped = hand_prediction([(12, 29, 6, 6), (2, 3, 6, 6)], looks=[0, 0])
    identities = stitcher.identify(hand_window(epoch, 4, 4, 4, 4), swapped)
    assert identities == (Identity(2, 1), Identity(1, 1))


def test_without_overlap_nothing_jumps_across_the_picture() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    stitcher.identify(hand_window(epoch, 0, 4, 4, 4), hand_prediction([(2, 2, 6, 6)]))

    far = hand_prediction([(12, 32, 6, 6)], looks=[0])
    assert stitcher.identify(hand_window(epoch, 4, 4, 4, 4), far) == (Identity(2, 1),)


def test_a_closing_window_knows_the_boxes_of_frames_whose_masks_are_gone() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    twins = hand_prediction([(2, 2, 6, 6), (12, 30, 6, 6)], looks=[0, 0])
    stitcher.identify(hand_window(epoch, 0, 4, 4, 4), twins)

    # Stride = size left no masks, but three of the four frames were seen before.
    swapped = hand_prediction([(12, 30, 6, 6), (2, 2, 6, 6)], looks=[3, 4])
    identities = stitcher.identify(hand_window(epoch, 1, 4, 1, 4), swapped)
    assert [identity and identity.track_id for identity in identities] == [2, 1]


def test_after_a_long_absence_the_embedding_decides_alone() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    stitcher.identify(hand_window(epoch, 0, 4, 4, 4), hand_prediction([(2, 2, 6, 6)]))

    back = hand_prediction([(3, 3, 6, 6), (6, 10, 6, 6)], looks=[5, 0])
    identities = stitcher.identify(hand_window(epoch, 300, 4, 4, 4), back)
    assert [identity and identity.track_id for identity in identities] == [2, 1]


def test_after_a_long_absence_the_class_tells_twins_apart() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    stitcher.identify(hand_window(epoch, 0, 4, 4, 4), hand_prediction([(2, 2, 6, 6)]))

    back = hand_prediction([(3, 3, 6, 6), (6, 10, 6, 6)], looks=[0, 0], categories=[2, 1])
    assert track_ids(stitcher.identify(hand_window(epoch, 300, 4, 4, 4), back)) == [2, 1]


def test_one_view_by_another_slot_does_not_replace_the_looks() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    for number, look in enumerate([0, 0, 4]):
        seen = hand_prediction([(2, 2, 6, 6)], looks=[look])
        stitcher.identify(hand_window(epoch, 2 * number, 4, 2, 2), seen)

    back = hand_prediction([(6, 10, 6, 6)], looks=[0])
    assert track_ids(stitcher.identify(hand_window(epoch, 300, 4, 4, 4), back)) == [1]


@pytest.mark.parametrize(("looks", "colours"), [([0, 0], [0, 1]), ([0, 1], [0, 0])])
def test_twins_of_one_embedding_differ_in_colours_or_the_other_way_round(
    looks: list[int], colours: list[int]
) -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    twins = hand_prediction([(4, 10, 6, 6), (6, 12, 6, 6)], looks=looks)
    clad = np.tile(np.eye(2, dtype=np.float32)[colours], (4, 1, 1))
    stitcher.identify(hand_window(epoch, 0, 4, 4, 4), replace(twins, colours=clad))

    swapped = replace(twins, embeddings=twins.embeddings[::-1], colours=clad[:, ::-1])
    identities = stitcher.identify(hand_window(epoch, 300, 4, 4, 4), swapped)
    assert identities == (Identity(2, 1), Identity(1, 1))


def test_colours_that_only_one_window_knows_say_nothing() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    by_night = replace(hand_prediction([(6, 10, 6, 6)]), colours=np.zeros((4, 1, 2), np.float32))
    by_day = replace(by_night, colours=by_night.colours + np.eye(2, dtype=np.float32)[0])
    stitcher.identify(hand_window(epoch, 0, 4, 4, 4), by_day)
    assert track_ids(stitcher.identify(hand_window(epoch, 300, 4, 4, 4), by_night)) == [1]


def in_turn(prediction: Prediction, *shown: Sequence[int]) -> Prediction:
    """The same, each slot seen in some of the frames only."""
    presence = np.zeros_like(prediction.presence)
    for slot, frames in enumerate(shown):
        presence[list(frames), slot] = True
    return replace(prediction, presence=presence)


def track_ids(identities: Sequence[Identity | None]) -> list[int | None]:
    return [identity and identity.track_id for identity in identities]


@pytest.mark.parametrize("parts", [(range(9), range(21, 30)), (range(21, 30), range(9))])
def test_who_was_hidden_within_a_window_comes_back_as_the_same(parts: Sequence[range]) -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    hidden = hand_prediction(
        [(2, 2, 6, 6), (2, 4, 6, 6), (12, 30, 6, 6)], frames=30, looks=[0, 0, 1]
    )
    window = hand_window(epoch, 0, 30, 30, 10)
    shown = in_turn(hidden, *parts, range(30))
    assert track_ids(stitcher.identify(window, shown)) == [1, 1, 2]
    assert stitcher.births == 2

    # The next window knows it by the masks of either slot.
    later = hand_prediction([(12, 30, 6, 6), (2, 4, 6, 6)], frames=30, looks=[3, 4])
    assert track_ids(stitcher.identify(hand_window(epoch, 10, 30, 10, 10), later)) == [2, 1]


def test_of_several_who_were_hidden_the_one_that_comes_back_is_known() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    boxes = [(2, 2, 6, 6), (12, 30, 6, 6), (12, 30, 6, 6)]
    hidden = hand_prediction(boxes, frames=60, looks=[0, 1, 1])
    shown = in_turn(hidden, range(9), range(9), range(21, 30))
    assert track_ids(stitcher.identify(hand_window(epoch, 0, 60, 60, 60), shown)) == [1, 2, 2]


def test_who_was_hidden_within_a_window_for_longer_than_the_memory_is_forgotten() -> None:
    epoch, stitcher = make_epoch(), new_stitcher(memory=10)
    hidden = hand_prediction([(2, 2, 6, 6)] * 2, frames=36, looks=[0, 0])
    shown = in_turn(hidden, range(4), range(24, 36))
    assert track_ids(stitcher.identify(hand_window(epoch, 0, 36, 36, 36), shown)) == [1, 2]


def test_who_comes_late_in_the_next_window_may_be_forgotten_by_then() -> None:
    """The window begins before, so the track is still there."""
    epoch, stitcher = make_epoch(), new_stitcher(memory=40)
    one = hand_prediction([(2, 2, 6, 6)], frames=36)
    first = stitcher.identify(hand_window(epoch, 0, 36, 36, 36), in_turn(one, range(4)))
    assert track_ids(first) == [1]
    again = stitcher.identify(hand_window(epoch, 36, 36, 36, 36), in_turn(one, range(20, 36)))
    assert track_ids(again) == [2]


def test_both_parts_of_who_was_hidden_stay_the_same_while_the_window_moves_on() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    one = hand_prediction([(2, 2, 6, 6)] * 2, frames=36, looks=[0, 0])
    seen = range(15), range(25, 36)
    stitcher.identify(hand_window(epoch, 0, 36, 36, 12), in_turn(one, *seen))

    # What came back covers most of the overlap, what was before it little.
    later = in_turn(one, range(3), range(13, 36))
    identities = stitcher.identify(hand_window(epoch, 12, 36, 12, 12), later)
    assert identities == (Identity(1, 1), Identity(1, 1))
    assert stitcher.births == 1
    frames = stitcher._live[1].frames
    assert frames.tolist() == [*range(2, 15), *range(25, 48)]  # as many as a window's


@pytest.mark.parametrize("later", [range(24, 36), range(12, 36)])
def test_of_two_parts_the_first_goes_on_with_the_track_and_the_other_follows(later: range) -> None:
    """Without overlap, and though the later part stands where the track stood."""
    epoch, stitcher = make_epoch(), new_stitcher()
    stitcher.identify(hand_window(epoch, 0, 36, 36, 36), hand_prediction([(2, 2, 6, 6)], frames=36))

    parts = hand_prediction([(3, 3, 6, 6), (2, 2, 6, 6)], frames=36, looks=[0, 0])
    shown = in_turn(parts, range(12), later)
    assert track_ids(stitcher.identify(hand_window(epoch, 36, 36, 36, 36), shown)) == [1, 1]
    assert stitcher.births == 1
    assert len(stitcher._live[1].frames) == 36  # as many as a window's


def test_parts_that_come_between_those_of_another_slot_are_one_track_with_it() -> None:
    """Of who shows in frames 12 to 14 last, another slot in 8 and 9 says nothing."""
    epoch, stitcher = make_epoch(), new_stitcher()
    first = hand_prediction([(2, 2, 6, 6)], frames=10)
    stitcher.identify(hand_window(epoch, 0, 10, 10, 5), first)

    parts = hand_prediction([(2, 2, 6, 6)] * 3, frames=10, looks=[0, 0, 0])
    parts = in_turn(parts, [0, 1, 7, 8, 9], range(3, 5), range(6, 9))
    identities = stitcher.identify(hand_window(epoch, 5, 10, 5, 5), parts)
    assert [identity and identity.track_id for identity in identities] == [1, 1, 2]


@pytest.mark.parametrize("seed", range(40))
def test_no_frame_shows_a_track_twice_whatever_the_slots_show(seed: int) -> None:
    """Several slots take turns at one place."""
    rng = np.random.default_rng(seed)
    epoch, stitcher = make_epoch(), new_stitcher(memory=int(rng.integers(5, 40)))
    for first in range(0, 40, 4):
        window = hand_prediction([(2, 2, 6, 6)] * 5, frames=10, looks=[0] * 5)
        turns = rng.integers(-1, 5, size=5).repeat(2)
        window.presence[:] = turns[:, None] == np.arange(5)
        window.presence[rng.random(window.presence.shape) < 0.02] = True
        identities = stitcher.identify(hand_window(epoch, first, 10, 4, 4), window)
        for shown in window.presence:
            pairs = zip(identities, shown, strict=True)
            ids = [identity.track_id for identity, is_here in pairs if identity and is_here]
            assert len(set(ids)) == len(ids)


def test_nobody_is_born_in_frames_that_are_over() -> None:
    """A closing window holds some whose results are out."""
    epoch, stitcher = make_epoch(), new_stitcher()
    stitcher.identify(hand_window(epoch, 0, 36, 36, 36), hand_prediction([], frames=36))

    parts = hand_prediction([(2, 2, 6, 6), (12, 30, 6, 6)], frames=36)
    shown = in_turn(parts, range(18), range(10, 36))
    assert track_ids(stitcher.identify(hand_window(epoch, 18, 36, 18, 36), shown)) == [None, 1]
    assert stitcher.births == 1


def test_who_shows_only_in_frames_that_an_empty_window_held_is_born() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    stitcher.identify(hand_window(epoch, 0, 8, 8, 4), hand_prediction([], frames=8))

    missed = in_turn(hand_prediction([(2, 2, 6, 6)], frames=8), range(3))
    assert track_ids(stitcher.identify(hand_window(epoch, 4, 8, 4, 4), missed)) == [1]


def test_who_went_behind_a_post_comes_out_on_the_other_side() -> None:
    """Of whom less and less showed before, and more and more behind it."""
    epoch, stitcher = make_epoch(), new_stitcher()
    window = hand_window(epoch, 0, 36, 36, 36)
    walker = [_rest_of((6, 1 + frame / 2, 6, 6), 0, 20) for frame in range(36)]
    stitcher.identify(window, _of_boxes([walker]))

    later = [_rest_of((6, 1 + frame / 2, 6, 6), 26, 40) for frame in range(36, 72)]
    stranger = [(0.0, 10.0, 6.0, 6.0)] * 36
    identities = stitcher.identify(hand_window(epoch, 36, 36, 36, 36), _of_boxes([stranger, later]))
    assert track_ids(identities) == [2, 1]


Rectangle = tuple[float, float, float, float]


def _rest_of(box: Rectangle, start: float, end: float) -> Rectangle | None:
    """What shows of a box (top, left, height, width) between two columns."""
    top, left, height, width = box
    first, last = max(left, start), min(left + width, end)
    return (top, first, height, last - first) if first < last else None


def _of_boxes(slots: Sequence[Sequence[Rectangle | None]]) -> Prediction:
    """A prediction of one look, of boxes for each frame."""
    frames = len(slots[0])
    masks = np.full((frames, len(slots), 20, 40), -9, np.float32)
    still = hand_prediction([(0, 0, 1, 1)] * len(slots), frames=frames, looks=[0] * len(slots))
    boxes = np.zeros_like(still.boxes)
    for slot, path in enumerate(slots):
        for frame, box in enumerate(path):
            if box is not None:
                top, left, height, width = box
                rows, columns = (
                    slice(int(start), int(np.ceil(start + size)))
                    for start, size in ((top, height), (left, width))
                )
                masks[frame, slot, rows, columns] = 9
                centre = (left + width / 2) / 40, (top + height / 2) / 20
                boxes[frame, slot] = *centre, width / 40, height / 20
    return replace(still, masks=masks, boxes=boxes)


def test_who_is_seen_at_the_same_time_is_no_other_part() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    wide = hand_prediction([(2, 2, 6, 12)])
    stitcher.identify(hand_window(epoch, 0, 4, 4, 2), wide)

    halves = hand_prediction([(2, 2, 6, 6), (2, 8, 6, 6)], looks=[0, 0])
    first, second = stitcher.identify(hand_window(epoch, 2, 4, 2, 2), halves)
    assert first is not None
    assert second is not None
    assert {first.track_id, second.track_id} == {1, 2}


@pytest.mark.parametrize(
    ("box", "looks", "frames"),
    [((2, 2, 6, 6), 5, range(55, 60)), ((12, 32, 6, 6), 0, range(10, 30)),
     ((12, 2, 6, 6), 0, range(5, 30))],
    ids=["looks different", "too far for a frame", "seen at once"],
)  # fmt: skip
def test_who_comes_into_a_window_later_may_be_somebody_else(
    box: tuple[int, int, int, int], looks: int, frames: range
) -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    both = hand_prediction([(2, 2, 6, 6), box], frames=60, looks=[0, looks])
    window = hand_window(epoch, 0, 60, 60, 60)
    assert track_ids(stitcher.identify(window, in_turn(both, range(9), frames))) == [1, 2]


def test_a_slot_that_repeats_the_track_of_a_better_one_is_left_out() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    stitcher.identify(hand_window(epoch, 0, 4, 4, 2), hand_prediction([(2, 2, 6, 12)]))

    # Each covers most of the track, but together they share little enough to be two slots.
    both = hand_prediction([(2, 2, 6, 10), (2, 5, 6, 9)], looks=[0, 3])
    identities = stitcher.identify(hand_window(epoch, 2, 4, 2, 2), both)
    assert identities == (Identity(1, 1), None)


def test_empty_slots_and_empty_windows() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    assert stitcher.identify(hand_window(epoch, 0, 4, 4, 2), hand_prediction([])) == ()
    one = hand_prediction([None, (2, 2, 6, 6)])
    assert stitcher.identify(hand_window(epoch, 2, 4, 2, 2), one) == (None, Identity(1, 1))
    assert stitcher.identify(hand_window(epoch, 4, 4, 2, 2), hand_prediction([])) == ()
    assert stitcher.identify(hand_window(epoch, 6, 4, 2, 2), one) == (None, Identity(1, 1))


def test_a_track_is_what_its_slot_says_behind_an_empty_one() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    one = hand_prediction([None, (2, 2, 6, 6)], looks=[0, 1], categories=[2, 1])
    clad = replace(one, colours=np.tile(np.eye(2, dtype=np.float32), (4, 1, 1)))
    identities = stitcher.identify(hand_window(epoch, 0, 4, 4, 2), clad)
    assert identities == (None, Identity(1, 1))
    track = stitcher._live[1]
    assert np.array_equal(track.embedding, clad.embeddings[1])
    assert np.array_equal(track.boxes, clad.boxes[:, 1])
    assert np.array_equal(track.colours, clad.colours[0, 1])


def test_a_track_missed_by_a_window_is_found_by_older_masks() -> None:
    epoch, stitcher = make_epoch(), new_stitcher(memory=1)
    seen = hand_prediction([(2, 2, 6, 6)], frames=6)
    stitcher.identify(hand_window(epoch, 0, 6, 6, 2), seen)
    stitcher.identify(hand_window(epoch, 2, 6, 2, 2), hand_prediction([], frames=6))
    assert len(stitcher._live) == 1

    # Frames 4 and 5 are still held; memory alone (1 frame, another look) would not have it.
    again = hand_prediction([(2, 2, 6, 6)], frames=6, looks=[4])
    assert stitcher.identify(hand_window(epoch, 4, 6, 2, 2), again) == (Identity(1, 1),)


def test_a_track_is_compared_only_in_frames_that_a_window_with_it_held() -> None:
    epoch, stitcher = make_epoch(), new_stitcher(memory=1)
    seen = hand_prediction([(2, 2, 6, 6)], frames=6)
    stitcher.identify(hand_window(epoch, 0, 6, 6, 1), seen)
    for first in range(1, 5):
        stitcher.identify(hand_window(epoch, first, 6, 1, 1), hand_prediction([], frames=6))

    # Only frame 5 is left of it, and no other of this window's six.
    again = hand_prediction([(2, 2, 6, 6)], frames=6, looks=[4], categories=[2])
    assert track_ids(stitcher.identify(hand_window(epoch, 5, 6, 1, 1), again)) == [1]


def test_masks_are_held_only_while_the_next_window_may_show_the_track() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    seen = in_turn(hand_prediction([(2, 2, 6, 6)], frames=6), [2])
    stitcher.identify(hand_window(epoch, 0, 6, 6, 1), seen)
    for first, held in ((1, (1,)), (2, ())):
        assert stitcher._overlap.track_ids == (1,)
        stitcher.identify(hand_window(epoch, first, 6, 1, 1), hand_prediction([], frames=6))
        assert stitcher._overlap.track_ids == held
    assert list(stitcher._live) == [1]


def test_the_category_changes_its_mind_slowly() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    # However long it was one, six windows of another convince it.
    categories = [1] * 20 + [2, 1, 2, 2, 2, 2, 2, 2]
    said = []
    for number, category in enumerate(categories):
        prediction = hand_prediction([(2, 2, 6, 6)], categories=[category])
        (identity,) = stitcher.identify(hand_window(epoch, 2 * number, 4, 2, 2), prediction)
        assert identity is not None
        assert identity.track_id == 1
        said.append(identity.category_id)

    assert said[:23] == [1] * 23
    assert said[-1] == 2
    assert said == sorted(said)


def test_predictions_that_do_not_fit_are_refused() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    window = hand_window(epoch, 0, 4, 4, 2)
    with pytest.raises(ValueError, match="a prediction of 5 frames for a window of 4"):
        stitcher.identify(window, hand_prediction([], frames=5))
    stitcher.identify(window, hand_prediction([(2, 2, 6, 6)]))
    other = hand_prediction([(2, 2, 6, 6)])
    other = replace(other, masks=other.masks[..., :30])
    with pytest.raises(ValueError, match=r"masks of \(20, 30\) after masks of \(20, 40\)"):
        stitcher.identify(hand_window(epoch, 2, 4, 2, 2), other)


def test_a_new_epoch_may_have_masks_of_another_size_and_knows_nobody() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    one = hand_prediction([(2, 2, 6, 6)])
    stitcher.identify(hand_window(epoch, 0, 4, 4, 2), one)
    stitcher.new_epoch()
    narrower = replace(one, masks=one.masks[..., :30])
    assert track_ids(stitcher.identify(hand_window(epoch, 4, 4, 4, 2), narrower)) == [2]


def test_a_track_does_not_keep_its_window() -> None:
    epoch, stitcher = make_epoch(), new_stitcher()
    prediction = hand_prediction([(2, 2, 6, 6)])
    stitcher.identify(hand_window(epoch, 0, 4, 4, 2), prediction)
    (track,) = stitcher._live.values()
    assert not np.shares_memory(track.votes, prediction.class_votes)
    assert not np.shares_memory(track.embedding, prediction.embeddings)
    assert not np.shares_memory(track.boxes, prediction.boxes)
