"""`streamer.stitching.track` and `.affinity`: where a track was, and where it is expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from streamer.stitching.affinity import motion
from streamer.stitching.track import Sighting, Track


def sighting(frames: Sequence[int], boxes: Sequence[tuple[float, float]]) -> Sighting:
    """Of boxes by their centre and width in [0, 1], all of one height on one line."""
    places = np.array([(x, 0.5, width, 0.3) for x, width in boxes], np.float32)
    votes, embedding, colours = (np.ones(size, np.float32) for size in (4, 8, 0))
    return Sighting(votes, embedding, colours, np.array(frames), places)


def plausibility(later: Sighting, track: Track) -> float:
    """How well a sighting goes on with a track that was last seen before."""
    return float(motion([later], [track], later.frames)[0].item())


@pytest.mark.parametrize("first", [0, 2**24, 2**27 + 5])
def test_velocities_are_the_same_after_months(first: int) -> None:
    boxes = [(0.2 + 0.01 * step, 0.0) for step in range(8)]
    track = Track.born(1, sighting(range(first, first + 8), boxes))
    assert track.velocity == pytest.approx([0.01, 0], abs=1e-6)


def test_a_track_has_the_size_of_its_newest_boxes() -> None:
    """Who comes out from behind a post grows."""
    track = Track.born(1, sighting(range(4), [(0.5, 0.02)] * 4))
    track = track.updated(sighting(range(4, 8), [(0.5, 0.2)] * 4), 4)
    assert track.size == pytest.approx([0.2, 0.3])


def test_parts_are_joined_in_the_order_of_their_frames() -> None:
    late, early = (
        sighting(frames, [(0.1 * frame, 0.2) for frame in frames]) for frames in ((3, 6, 7), (1, 4))
    )
    whole = Sighting.joined([late, early])
    assert whole.frames.tolist() == [1, 3, 4, 6, 7]
    assert whole.boxes[:, 0] == pytest.approx([0.1, 0.3, 0.4, 0.6, 0.7])


def test_what_parts_say_weighs_as_much_as_their_frames() -> None:
    votes, colours = np.eye(4, dtype=np.float32), np.eye(2, dtype=np.float32)
    short, long = (
        replace(
            sighting(frames, [(0.5, 0.2)] * len(frames)),
            class_votes=votes[number],
            embedding=votes[number],
            colours=colours[number],
        )
        for number, frames in enumerate((range(1), range(1, 10)))
    )
    whole = Sighting.joined([short, long])
    assert whole.class_votes == pytest.approx([0.1, 0.9, 0, 0])
    # Of unit length.
    assert whole.embedding / whole.embedding.sum() == pytest.approx([0.1, 0.9, 0, 0])
    assert whole.colours / whole.colours.sum() == pytest.approx([0.1, 0.9])
    assert np.linalg.norm(whole.colours) == pytest.approx(1)


def test_another_view_shifts_the_looks_of_a_track() -> None:
    looks = np.eye(2, dtype=np.float32)
    before, after = (
        replace(sighting([frame], [(0.5, 0.2)]), embedding=looks[frame], colours=looks[frame])
        for frame in (0, 1)
    )
    track = Track.born(1, before).updated(after, 4)
    assert track.embedding / track.embedding.sum() == pytest.approx([0.7, 0.3])
    assert track.colours / track.colours.sum() == pytest.approx([0.7, 0.3])


def test_boxes_are_compared_where_they_are_of_one_frame() -> None:
    boxes = [(0.1 * step, 0.2) for step in range(8)]
    track = Track.born(1, sighting(range(8), boxes))
    assert plausibility(sighting(range(4, 8), boxes[4:]), track) == pytest.approx(1)


@pytest.mark.parametrize("frames", [1, 30])
def test_boxes_that_lie_a_little_off_count_the_same_in_however_many_frames(frames: int) -> None:
    track = Track.born(1, sighting(range(frames), [(0.5, 0.2)] * frames))
    beside = sighting(range(frames), [(0.6, 0.2)] * frames)
    # One standard deviation: half a width.
    assert plausibility(beside, track) == pytest.approx(np.exp(-0.5))


def test_who_left_the_picture_is_expected_at_its_border() -> None:
    left = Track.born(1, sighting(range(8), [(0.6 + 0.05 * step, 0.2) for step in range(8)]))
    assert plausibility(sighting([100], [(0.95, 0.2)]), left) > 0.99


def test_who_comes_out_as_a_sliver_may_be_as_far_as_the_whole_is_wide() -> None:
    hidden = Track.born(1, sighting(range(8), [(0.5, 0.02)] * 8))
    grows = [(0.6, 0.02), (0.62, 0.1), *[(0.65, 0.2)] * 6]
    assert plausibility(sighting(range(9, 17), grows), hidden) > 0.5
