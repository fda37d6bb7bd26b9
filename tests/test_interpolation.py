"""Instances between two key frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from streamer.mask import CroppedMask
from streamer.output import Instance
from streamer.stitching.interpolation import KeyFrame, interpolate


def one_box(track_id: int, top: int, left: int, size: int = 4) -> Instance:
    mask = CroppedMask((20, 40), top, left, np.ones((size, size), np.bool_))
    return Instance(track_id, 1, "cat", 0.9, mask)


def test_a_track_in_one_neighbour_shows_in_the_nearer_half() -> None:
    before = KeyFrame(0.0, (one_box(1, 2, 2), one_box(2, 10, 10)))
    after = KeyFrame(1.0, (one_box(3, 2, 30), one_box(1, 6, 10)))

    def ids(time_s: float) -> list[int]:
        return [instance.track_id for instance in interpolate(time_s, before, after)]

    assert ids(0.25) == [1, 2]
    assert ids(0.5) == [1, 2]
    assert ids(0.75) == [3, 1]
    boxes = [i.bbox_xywh for i in interpolate(0.25, before, after)]
    assert boxes == [(4, 3, 4, 4), (10, 10, 4, 4)]
    boxes = [i.bbox_xywh for i in interpolate(0.75, before, after)]
    assert boxes == [(30, 2, 4, 4), (8, 5, 4, 4)]


def test_a_growing_mask_moves_by_its_centre() -> None:
    before, after = KeyFrame(0.0, (one_box(1, 4, 4, 4),)), KeyFrame(1.0, (one_box(1, 2, 6, 8),))
    (instance,) = interpolate(0.5, before, after)
    # Centres (6, 6) and (6, 10): two columns, no row.
    assert instance.bbox_xywh == (6, 4, 4, 4)


def test_a_mask_moved_out_of_the_picture_is_left_out() -> None:
    # Its box centre stays inside, but the rest of an angle has no pixel.
    angle = np.zeros((9, 9), np.bool_)
    angle[:, 0] = angle[0, :] = True
    before = replace(one_box(1, 0, 0), segment=CroppedMask((10, 10), 1, 1, angle))
    after = replace(one_box(1, 0, 0), segment=CroppedMask((10, 10), 0, 0, angle[:1, :1]))
    assert interpolate(0.4, KeyFrame(0.0, (before,)), KeyFrame(1.0, (after,))) == ()
