"""Slots that change their object within a window, by hand: what is cut, joined and left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from streamer.stitching.shapes import Shapes
from streamer.stitching.untangling import MAX_AGE, untangle
from streamer.window import Prediction

Place = tuple[int, int, int, int] | None
"""Top, left, height and width in masks of 20x40; None where there is nothing."""

FRAMES = 8


def prediction(*slots: Callable[[int], Place], frames: int = FRAMES) -> Prediction:
    """Rectangles that stand where each slot's function of the frame says."""
    count = len(slots)
    masks = np.full((frames, count, 20, 40), -9, np.float32)
    for slot, place in enumerate(slots):
        for frame in range(frames):
            if box := place(frame):
                top, left, height, width = box
                masks[frame, slot, top : top + height, left : left + width] = 9
    rng = np.random.default_rng(1)
    return Prediction(
        scores=np.linspace(0.9, 0.5, count, dtype=np.float32),
        class_votes=np.eye(4, dtype=np.float32)[[1, 2, 3][:count]].reshape(count, 4),
        embeddings=np.eye(8, dtype=np.float32)[:count],
        boxes=rng.random((frames, count, 4), dtype=np.float32),
        presence=np.ones((frames, count), np.bool_),
        masks=masks,
        colours=np.zeros((frames, count, 0), np.float32),
    )


def untangled(given: Prediction) -> Prediction:
    """What becomes of it where its frames follow one after the other."""
    return untangle(given, range(len(given.masks)))


def absent(given: Prediction) -> Prediction:
    """The same with its slots absent where they show nothing."""
    return replace(given, presence=(given.masks > 0).any(axis=(2, 3)))


def left_walker(frame: int) -> Place:
    return 2, 2 + frame, 8, 4


def right_walker(frame: int) -> Place:
    return 10, 30 - frame, 8, 4


def fast(frame: int) -> Place:
    """Moves by more than its width in every frame."""
    return 6, 1 + 5 * frame, 4, 3


def fast_below(frame: int) -> Place:
    """Keeps up with it."""
    return 12, 1 + 5 * frame, 4, 3


def out_at_the_left(frame: int) -> Place:
    return (6, max(8 - 3 * frame, 0), 6, min(14 - 3 * frame, 6)) if frame < 5 else None


def out_at_the_top(frame: int) -> Place:
    return (max(8 - 3 * frame, 0), 6, min(14 - 3 * frame, 6), 6) if frame < 5 else None


def hides(frame: int) -> Place:
    """Only its lowest part shows in the middle."""
    return (14, 20, 2, 4) if 3 <= frame < 5 else (4, 20, 12, 4)


def leaps(frame: int) -> Place:
    """Passes the middle of the picture, once in a leap."""
    return 6, 8 + 2 * frame + (4 if frame >= 4 else 0), 8, 6


def nothing(_: int) -> Place:
    return None


def rows(found: Prediction) -> list[list[tuple[int, int] | None]]:
    """Top and left of each row's mask in each frame."""
    places: list[list[tuple[int, int] | None]] = []
    for row in range(len(found)):
        places.append([])
        for frame in range(FRAMES):
            pixels = np.argwhere(found.masks[frame, row] > 0)
            assert bool(len(pixels)) == bool(found.presence[frame, row])
            places[-1].append((int(pixels[0, 0]), int(pixels[0, 1])) if len(pixels) else None)
    return places


def places(place: Callable[[int], Place], shown: Sequence[int] = range(FRAMES)) -> list[object]:
    expected: list[object] = []
    for frame in range(FRAMES):
        box = place(frame) if frame in shown else None
        expected.append(box[:2] if box else None)
    return expected


@pytest.mark.parametrize(
    "slots",
    [
        *((), (nothing,), (left_walker, right_walker), (left_walker, nothing), (fast,), (hides,)),
        *((fast, fast_below), (out_at_the_left,), (out_at_the_top,)),
    ],
)
def test_slots_that_stay_are_left_as_they_are(slots: tuple[Callable[[int], Place], ...]) -> None:
    given = prediction(*slots)
    assert untangled(given) is given


def test_slots_that_swap_their_objects_are_swapped_back() -> None:
    given = prediction(
        lambda t: (left_walker if t < 6 else right_walker)(t),
        lambda t: (right_walker if t < 6 else left_walker)(t),
    )
    found = untangled(given)
    assert rows(found) == [places(left_walker), places(right_walker)]
    # Six frames of one slot and two of the other.
    assert found.scores == pytest.approx([0.9 * 0.75 + 0.5 * 0.25, 0.9 * 0.25 + 0.5 * 0.75])
    assert found.class_votes[0] == pytest.approx([0, 0.75, 0.25, 0])
    assert np.linalg.norm(found.embeddings, axis=1) == pytest.approx([1, 1])
    assert found.embeddings[0, 0] == pytest.approx(3 * found.embeddings[0, 1])
    assert np.array_equal(found.boxes[5:7, 0], given.boxes[[5, 6], [0, 1]])


def test_rows_come_by_score_whatever_the_order_of_their_objects() -> None:
    """The better slot begins with one object, but shows the other one longer."""
    given = prediction(
        lambda t: (left_walker if t < 2 else right_walker)(t),
        lambda t: (right_walker if t < 2 else left_walker)(t),
    )
    found = untangled(given)
    assert rows(found) == [places(right_walker), places(left_walker)]
    assert found.scores == pytest.approx([0.9 * 0.75 + 0.5 * 0.25, 0.9 * 0.25 + 0.5 * 0.75])
    assert found.class_votes == pytest.approx(np.array([[0, 0.75, 0.25, 0], [0, 0.25, 0.75, 0]]))


def test_what_a_slot_of_two_objects_says_of_frames_without_either_is_no_part_of_them() -> None:
    given = prediction(
        lambda t: (6, 2 if t < 3 else 30, 6, 6) if t not in (3, 4) else None,
        lambda _: (2, 14, 6, 6),
    )
    shown = [range(3), range(5, FRAMES), range(FRAMES)]
    expected = [[frame in each for frame in range(FRAMES)] for each in shown]
    assert untangled(given).presence.T.tolist() == expected


def test_what_a_steady_slot_says_of_frames_without_its_object_stays() -> None:
    """Whether others swap meanwhile is no matter."""

    def leaves(frame: int) -> Place:
        return (2, 15, 6, 6) if frame < 5 else None

    def swaps(frame: int) -> Place:
        return (left_walker, right_walker)[frame >= 4](frame)

    def swaps_back(frame: int) -> Place:
        return (right_walker, left_walker)[frame >= 4](frame)

    tangled = prediction(swaps, swaps_back, leaves)
    found = untangled(tangled)
    assert found is not tangled
    (row,) = np.flatnonzero((found.masks[:5, :, 2:8, 15:21] > 0).all(axis=(0, 2, 3)))
    assert np.array_equal(found.masks[:, row], tangled.masks[:, 2])
    assert found.presence[:, row].all()


def test_a_slot_that_comes_back_goes_on_with_its_object() -> None:
    given = prediction(lambda t: right_walker(t) if t in (4, 5) else left_walker(t))
    # Two frames somewhere else are not worth a row.
    assert rows(untangled(given)) == [places(left_walker, (0, 1, 2, 3, 6, 7))]


def test_a_slot_that_goes_on_to_another_object_becomes_two() -> None:
    found = untangled(prediction(lambda t: (left_walker if t < 4 else right_walker)(t)))
    assert rows(found) == [places(left_walker, range(4)), places(right_walker, range(4, 8))]
    assert found.scores == pytest.approx([0.9, 0.9])


def test_a_slot_counts_only_where_it_does_not_repeat_a_better_one() -> None:
    given = prediction(left_walker, lambda t: (left_walker if t < 3 else right_walker)(t))
    assert rows(untangled(given)) == [places(left_walker), places(right_walker, range(3, 8))]


def test_of_two_that_show_the_same_all_along_the_better_one_stays() -> None:
    found = untangled(prediction(left_walker, left_walker))
    assert rows(found) == [places(left_walker)]
    assert found.scores == pytest.approx([0.9])


def test_who_is_like_a_slot_only_that_is_left_out_itself_stays() -> None:
    first, second, third = (lambda _, left=left: (4, left, 8, 9) for left in (2, 5, 8))
    found = untangled(prediction(first, second, third))
    assert rows(found) == [places(first), places(third)]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_repeated_object_of_a_short_window_costs_no_other(frames: int) -> None:
    given = prediction(left_walker, right_walker, left_walker)
    short = replace(
        given,
        boxes=given.boxes[:frames],
        presence=given.presence[:frames],
        masks=given.masks[:frames],
        colours=given.colours[:frames],
    )
    found = untangled(short)
    assert found.scores == pytest.approx([0.9, 0.7])
    assert np.array_equal(found.masks > 0, short.masks[:, :2] > 0)


def test_a_neighbour_that_takes_over_is_told_by_its_place() -> None:
    """A slot that moves on to the object beside its own stays near: overlap says more than it."""

    def beside(frame: int) -> Place:
        return 2, 8 + frame, 8, 4

    given = prediction(
        lambda t: (left_walker if t < 4 else beside)(t),
        lambda t: (beside if t < 4 else left_walker)(t),
    )
    assert rows(untangled(given)) == [places(left_walker), places(beside)]


def test_who_walks_past_another_comes_out_on_the_other_side() -> None:
    """Where two meet one mask covers both, and the slots come out of it the wrong way round."""

    def to_the_right(frame: int) -> Place:
        return 4, 4 + 4 * frame, 10, 5

    def to_the_left(frame: int) -> Place:
        return 5, 32 - 4 * frame, 10, 5

    def both(_: int) -> Place:
        return 4, 16, 11, 9

    given = prediction(
        lambda t: both(t) if t in (3, 4) else (to_the_right if t < 3 else to_the_left)(t),
        lambda t: None if t in (3, 4) else (to_the_left if t < 3 else to_the_right)(t),
    )
    found = rows(untangled(given))
    after = [[place for place in row[5:] if place] for row in found]
    assert after[0] == [to_the_right(t)[:2] for t in (5, 6, 7)]
    assert after[1] == [to_the_left(t)[:2] for t in (5, 6, 7)]


def test_an_object_that_was_hidden_is_found_where_it_went_to() -> None:
    def walker(frame: int) -> Place:
        return 2, 1 + 4 * frame, 8, 5

    given = prediction(
        lambda t: walker(t) if t < 3 else None, lambda t: walker(t) if t > 4 else None
    )
    assert rows(untangled(given)) == [places(walker, (0, 1, 2, 5, 6, 7))]


def test_two_sightings_tell_nothing_of_the_movement() -> None:
    def jumps(frame: int) -> Place:
        return 6, 10 if frame == 0 else 18, 5, 5

    given = prediction(
        lambda t: jumps(t) if t < 2 else None, lambda t: jumps(t) if t >= 2 else None
    )
    assert rows(untangled(absent(given))) == [places(jumps)]


def test_an_object_that_turned_is_found_where_it_went_to_last() -> None:
    def turns(frame: int) -> Place:
        return 2, 16 + min(frame, 24 - frame), 4, 4

    given = prediction(
        lambda t: turns(t) if t < 34 else None, lambda t: turns(t) if t > 36 else None, frames=40
    )
    assert len(untangled(given)) == 1


@pytest.mark.parametrize(("gone", "objects"), [(MAX_AGE, 1), (MAX_AGE + 1, 2)])
def test_who_comes_back_late_is_somebody_else(gone: int, objects: int) -> None:
    def stands(shown: range) -> Callable[[int], Place]:
        return lambda frame: (2, 4, 8, 6) if frame in shown else None

    given = prediction(stands(range(5)), stands(range(4 + gone, 20)), frames=20)
    assert len(untangled(given)) == objects


def test_a_hole_in_the_frames_is_time_in_which_objects_move_on() -> None:
    """The second stands, behind the hole, where the first would be if no time had passed."""
    indices = (0, 1, 2, 3, 14, 15, 16, 17)
    ahead = prediction(lambda t: (4, 12 + indices[t], 8, 4), lambda t: (4, 1 + indices[t], 8, 4))
    assert untangle(ahead, indices) is ahead
    assert untangle(ahead, [5 * index for index in indices]) is ahead  # every fifth frame's


def test_who_is_alone_may_turn_and_jump() -> None:
    bounces = prediction(lambda t: (2, 5 * (t if t < 5 else 8 - t), 4, 4))
    assert untangled(bounces) is bounces
    jumps = prediction(lambda t: (2, 5 if t < 5 else 12, 4, 4), lambda _: (12, 35, 4, 4))
    assert untangled(jumps) is jumps
    beside = prediction(lambda t: (2, 5 if t < 5 else 12, 4, 4), lambda _: (12, 20, 4, 4))
    assert len(untangled(beside)) == 3


def test_the_overlap_is_that_of_the_mask_seen_last() -> None:
    """Whatever its slot shows by now."""
    shapes = Shapes.of(prediction(lambda t: (6, 2, 6, 3 if t else 6)), range(FRAMES))
    overlap = shapes.overlap(np.array([0]), np.array([0]), np.zeros((1, 2)), 1)
    assert overlap == pytest.approx(0.5)


def test_frames_in_which_a_slot_is_absent_are_no_part_of_it() -> None:
    given = prediction(lambda t: left_walker(t) if t < 5 else (12, 2, 8, 4), right_walker)
    given.presence[5:, 0] = False
    assert untangled(given) is given


def dressed(given: Prediction, *colours: Sequence[int]) -> Prediction:
    """The same with a colour out of three for each slot in each frame; -1 is one unknown."""
    shown = np.eye(4, 3, dtype=np.float32)[np.array(colours).T]
    return replace(given, colours=shown)


def comes_and_goes(start: int, step: int) -> Callable[[int], Place]:
    """Walks for four frames, and then back the way that it came."""
    return lambda frame: (6, start + step * min(frame, FRAMES - 1 - frame), 8, 4)


def test_who_meets_another_and_turns_back_is_known_by_the_colours() -> None:
    left, right = comes_and_goes(8, 3), comes_and_goes(29, -3)  # they overlap in the middle
    given = prediction(left, right)
    crossed = [(6, 8 + 3 * frame) for frame in range(FRAMES)]
    assert rows(untangled(given))[0] == crossed  # by their movement alone
    clad = dressed(given, [0] * FRAMES, [1] * FRAMES)
    assert untangled(clad) is clad
    assert rows(untangled(dressed(given, [0] * FRAMES, [-1] * FRAMES)))[0] == crossed


def first_half(left: int) -> Callable[[int], Place]:
    return lambda frame: (6, left, 6, 6) if frame < 4 else None


def second_half(left: int) -> Callable[[int], Place]:
    return lambda frame: (6, left, 6, 6) if frame >= 4 else None


def test_of_two_slots_an_object_goes_on_with_that_of_its_colours() -> None:
    given = absent(prediction(first_half(10), second_half(10), second_half(13)))
    found = rows(untangled(dressed(given, [0] * FRAMES, [1] * FRAMES, [0] * FRAMES)))
    assert [(6, 10)] * 4 + [(6, 13)] * 4 in found


@pytest.mark.parametrize(
    ("colours", "left", "colour", "goes_on"),
    [([1, 1, 1, 1], 11, 1, 14), ([0, 1, 2, 0], 13, 0, 10)],
    ids=["the colours of the second", "all the colours of the first"],
)
def test_of_two_objects_the_one_of_its_colours_goes_on_with_a_slot(
    colours: list[int], left: int, colour: int, goes_on: int
) -> None:
    given = absent(prediction(first_half(10), first_half(14), second_half(left)))
    clad = dressed(given, [0] * FRAMES, [*colours, *[-1] * 4], [colour] * FRAMES)
    assert [(6, goes_on)] * 4 + [(6, left)] * 4 in rows(untangled(clad))


def test_colours_alone_are_no_reason_to_go_on() -> None:
    """The first slot leaves an object, with whose colours two others come, for another far away."""
    given = prediction(lambda t: (6, 10 if t < 4 else 33, 6, 6), second_half(7), second_half(13))
    assert len(untangled(dressed(given, [0] * FRAMES, [1] * FRAMES, [1] * FRAMES))) == 4


def test_who_does_not_go_on_is_no_reason_to_break_up_another() -> None:
    def steps(frame: int) -> Place:
        return 6, 2 if frame < 4 else 6, 6, 6

    def changes(frame: int) -> Place:
        return 6, 26 if frame < 4 else 30, 6, 6

    given = absent(prediction(steps, changes, second_half(22)))
    clad = dressed(given, [0] * FRAMES, [1] * 4 + [2] * 4, [2] * FRAMES)
    assert places(steps) in rows(untangled(clad))


def test_who_is_alone_goes_on_in_another_light() -> None:
    given = dressed(prediction(left_walker, right_walker), [0] * 4 + [2] * 4, [1] * 4 + [2] * 4)
    assert untangled(given) is given


@pytest.mark.parametrize("other", [nothing, leaps])
def test_slots_that_show_nothing_or_what_a_better_one_shows_are_no_rivals(
    other: Callable[[int], Place],
) -> None:
    given = prediction(leaps, other)
    changes = [0] * 4 + [2] * 4
    found = untangled(dressed(given, changes, changes))
    assert np.array_equal(found.masks[:, 0] > 0, given.masks[:, 0] > 0)
