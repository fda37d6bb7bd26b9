"""How people and pictures move through a clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.parts import COLOURS, rectangle, walk
from training.actors import BEYOND, Shot, mover, walker, walker_in_place

SHOT = Shot(100, 50, 400, 300, frames=36)


def test_walkers_in_place_are_where_they_were_in_the_video() -> None:
    tracklet = walk(0, (5, 2))
    tracklet.boxes[:, 3] += np.arange(len(tracklet))
    feet = tracklet.boxes[:, :2] + tracklet.boxes[:, 2:] * [0.5, 1]
    for seed in range(10):
        actor = walker_in_place(tracklet, SHOT, np.random.default_rng(seed))
        assert actor.category_id == 1
        assert set(actor.shown.tolist()) <= set(range(len(tracklet)))
        np.testing.assert_array_equal(actor.heights, 80 + actor.shown)
        # Between the place of the picture that is shown and the next.
        past = (actor.feet - feet[actor.shown]) / [5, 3]
        assert (past >= -1e-9).all()
        assert (past < 1).all()
        np.testing.assert_allclose(past[:, 0], past[:, 1], atol=1e-9)
        steps = np.abs(np.diff(actor.feet[:, 0]))
        assert steps.max() <= 5 * 1.2 + 1e-9


@pytest.mark.parametrize("step", [(5, 0), (-4, 2)])
def test_walkers_look_where_they_go(step: tuple[int, int]) -> None:
    tracklet = walk(0, step)
    turned = 0
    for seed in range(40):
        actor = walker(tracklet, 90, SHOT, np.random.default_rng(seed))
        ahead = np.diff(actor.feet[:, 0]) * np.sign(step[0])
        calm = actor.mirrored[1:] == actor.mirrored[:-1]
        np.testing.assert_array_equal(ahead[calm] < 0, actor.mirrored[1:][calm])
        # As far for their height as in the video, where they are 80 high.
        assert np.abs(np.diff(actor.feet[:, 0])).max() <= abs(step[0]) * 90 / 80 * 1.2 + 1e-9
        turned += int(actor.mirrored.any())
    assert turned


def test_paths_pass_through_the_view_and_turn_round_outside() -> None:
    away = 0
    for seed in range(60):
        sprite = (2, rectangle(COLOURS[2]))
        actor = mover(sprite, 50, SHOT, np.random.default_rng(seed))
        middle = actor.feet - [0, 25]
        low, high = np.array([100, 50]), np.array([500, 350])
        reach = BEYOND * SHOT.height + 1e-6
        assert ((middle >= low - reach) & (middle <= high + reach)).all()
        inside = ((middle >= low) & (middle <= high)).all(1)
        assert inside.any()
        away += int(not inside.all())
        assert (np.abs(np.diff(actor.heights)) < 5).all()
    assert away


def test_everything_moves_as_fast_as_the_shot_says() -> None:
    sprite, tracklet = (2, rectangle(COLOURS[2])), walk(0, (5, 0))
    slow = replace(SHOT, pace=0.25)
    for seed in range(20):
        for make in (
            lambda shot, rng: mover(sprite, 50, shot, rng),
            lambda shot, rng: walker(tracklet, 90, shot, rng),
            lambda shot, rng: walker_in_place(tracklet, shot, rng),
        ):
            fast, calm = (make(shot, np.random.default_rng(seed)) for shot in (SHOT, slow))
            speeds = [np.abs(np.diff(actor.feet[:, 0])).max() for actor in (fast, calm)]
            assert speeds[1] == pytest.approx(speeds[0] / 4, rel=0.05)
