"""Composed clips, from parts whose colours tell what is seen where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.parts import COLOURS, drawn_library
from training.actors import Shot
from training.clip import Clip
from training.composer import VISIBLE, Composer, Composition

Mask = NDArray[np.bool_]
SIZE = (90, 120)


def clips(
    composition: Composition, count: int, *, frames: int = 6, whole: bool = False
) -> Iterator[Clip]:
    composer = Composer(drawn_library(whole=whole), composition)
    for seed in range(count):
        yield composer.draw(np.random.default_rng(seed), range(frames), SIZE)


def grown(mask: Mask, pixels: int) -> Mask:
    """A mask and what is around it; of a negative number, what is left of it."""
    kernel = np.ones((2 * abs(pixels) + 1,) * 2, np.uint8)
    change = cv2.dilate if pixels > 0 else cv2.erode
    return change(mask.astype(np.uint8), kernel).astype(np.bool_)


def test_the_same_random_numbers_give_the_same_clip() -> None:
    composer = Composer(drawn_library(), Composition())
    again = Composer(drawn_library(), Composition())
    for seed in range(5):
        first, second = (
            c.draw(np.random.default_rng(seed), range(3), SIZE) for c in (composer, again)
        )
        for field in fields(Clip):
            np.testing.assert_array_equal(
                getattr(first, field.name), getattr(second, field.name), strict=True
            )
    other = composer.draw(np.random.default_rng(5), range(3), SIZE)
    assert (other.frames != first.frames).any()


def test_clips_are_of_the_size_asked_for_and_of_the_kind() -> None:
    for (people, sprites), labels in {
        (1.0, 0.0): {1},
        (0.0, 1.0): {2, 3, 4},
        (0.0, 0.0): {1, 2, 3, 4},
    }.items():
        composition = Composition(objects=(2, 4), people=people, sprites=sprites)
        found = set()
        for clip in clips(composition, 30, frames=2):
            assert clip.frames.shape == (2, *SIZE, 3)
            assert len(clip.category_ids) <= 4
            found |= set(clip.category_ids.tolist())
        assert found == labels


def test_clips_may_show_some_of_what_happens_only() -> None:
    """Every third frame of the same clip, up to what a camera does to each."""
    composer = Composer(drawn_library(), Composition(objects=(3, 5)))
    for seed in range(5):
        some = composer.draw(np.random.default_rng(seed), range(2, 12, 3), SIZE)
        every = composer.draw(np.random.default_rng(seed), range(12), SIZE)
        for category, masks in zip(some.category_ids, some.masks, strict=True):
            whole = every.masks[every.category_ids == category]
            assert any((masks == tube[2::3]).all() for tube in whole)


@pytest.mark.parametrize(("people", "sprites"), [(0.55, 0.45), (0.8, 0.2), (0.9, 0.1)])
def test_shares_may_make_one(people: float, sprites: float) -> None:
    """Though their sum, as a computer adds up, may be a little more."""
    (clip,) = clips(Composition(people=people, sprites=sprites), 1, frames=1)
    assert len(clip.frames) == 1


def test_masks_are_where_the_objects_are_seen() -> None:
    """Whatever hides, leaves, enters, is turned or mirrored."""
    for clip in clips(Composition(objects=(2, 5), heights=(0.2, 0.7)), 60, frames=3):
        assert (clip.masks.sum(0) <= 1).all()
        assert (clip.masks.sum((2, 3)).max(1) >= VISIBLE).all()
        anything = clip.masks.any(0)
        for t, frame in enumerate(clip.frames):
            # Compression and blur smear colours over some pixels.
            elsewhere = frame[~grown(anything[t], 5)]
            assert np.quantile(elsewhere, 0.999) < 100
            for category, masks in zip(clip.category_ids, clip.masks, strict=True):
                seen = frame[grown(masks[t], -4)].astype(int)
                lit = np.array(COLOURS[category]) > 0
                assert (seen[:, lit].min(1, initial=255) > 90).all()
                assert (seen[:, ~lit].max(1, initial=0) < 90).all()


def test_objects_too_small_to_see_in_any_frame_are_none() -> None:
    kept = 0
    for clip in clips(Composition(objects=(5, 5), heights=(0.02, 0.07)), 20):
        assert (clip.masks.sum((2, 3)).max(1) >= VISIBLE).all()
        kept += len(clip.masks)
    assert 0 < kept < 5 * 20


@pytest.mark.parametrize(("scene", "share"), [(True, 0.8), (False, 0.0)])
def test_most_people_in_the_videos_scene_walk_where_they_did(scene: bool, share: float) -> None:
    composer = Composer(drawn_library(), Composition())
    shot = Shot(100, 50, 400, 300, frames=12)
    in_place = []
    for seed in range(60):
        actor = composer._actor(True, scene, shot, np.random.default_rng(seed))
        # One walks along y = 280, the other down to the left of where both begin.
        x, y = (actor.feet - [315, 280]).T
        in_place.append(np.allclose(y, 0) or np.allclose(y, -x / 2))
    assert np.mean(in_place) == pytest.approx(share, abs=0.15)


def test_clutter_hides_objects_and_is_none() -> None:
    """White, grey or of the ground; in front of some, it takes from their masks."""
    bare = Composition(objects=(3, 3), heights=(0.3, 0.6))
    areas = []
    for composition in (bare, replace(bare, clutter=12)):
        made = list(clips(composition, 20, frames=1))
        areas.append(np.array([clip.masks.sum() for clip in made]))
        assert {int(label) for clip in made for label in clip.category_ids} == {1, 2, 3, 4}
        for clip in made:
            assert len(clip.masks) <= 3
            for category, (mask,) in zip(clip.category_ids, clip.masks, strict=True):
                lit = np.array(COLOURS[category]) > 0
                seen = clip.frames[0, grown(mask, -4)]
                assert (seen[:, lit].min(1, initial=255) > 90).all()
    assert (areas[1] <= areas[0]).all()
    assert (areas[1] < areas[0]).sum() >= 5


def test_recoloured_backgrounds_leave_objects_as_they_are() -> None:
    ground = np.full((600, 800, 3), (20, 40, 80), np.uint8)
    composition = Composition(objects=(1, 1), recolour=1, still=1)
    composer = Composer(drawn_library(ground=ground), composition)
    grounds = set()
    for seed in range(12):
        clip = composer.draw(np.random.default_rng(seed), range(1), SIZE)
        around = np.median(clip.frames[0, ~clip.masks.any(axis=(0, 1))], axis=0)
        grounds.add(int(around.argmax()))
        for category, (mask,) in zip(clip.category_ids, clip.masks, strict=True):
            seen = clip.frames[0, grown(mask, -4)]
            lit = np.array(COLOURS[category]) > 0
            assert (seen[:, lit].min(1, initial=255) > 90).all()
    assert grounds == {0, 1, 2}


def test_categories_with_more_pictures_are_shown_more_often_if_asked_for() -> None:
    library = drawn_library()
    many = replace(library, sprites={2: library.sprites[2] * 9, 3: library.sprites[3]})
    assert [len(pictures) for pictures in many.sprites.values()] == [9, 1]
    shares = []
    for variety in (0.0, 0.5, 1.0):
        composition = Composition(
            objects=(1, 1), people=0, sprites=1, heights=(0.4, 0.6), variety=variety
        )
        composer = Composer(many, composition)
        drawn = [composer.draw(np.random.default_rng(i), range(1), SIZE) for i in range(200)]
        found = np.concatenate([clip.category_ids for clip in drawn])
        shares.append((found == 2).mean())
    assert np.allclose(shares, [1 / 2, 3 / 4, 9 / 10], atol=0.08)


def test_disguised_sprites_have_other_colours_and_people_their_own() -> None:
    composition = Composition(objects=(1, 1), heights=(0.4, 0.6), disguise=1)
    dyed = []
    for clip in clips(composition, 60, frames=1, whole=True):
        for category, (mask,) in zip(clip.category_ids, clip.masks, strict=True):
            inside = clip.frames[0, grown(mask, -4)]
            if not len(inside):
                continue
            colour = np.median(inside, axis=0)
            if category == 1:
                assert colour.min() > 90
            else:
                dyed.append(colour.argmax() != np.argmax(COLOURS[category]))
    assert 0.2 < np.mean(dyed) < 0.8


def test_objects_are_listed_from_back_to_front() -> None:
    composition = Composition(objects=(2, 2), people=0, sprites=1, heights=(0.4, 0.6))
    wholeness: dict[int, list[float]] = {0: [], 1: []}
    for clip in clips(composition, 60, frames=2, whole=True):
        if len(clip.masks) < 2:
            continue
        for t in range(2):
            if (grown(clip.masks[0, t], 2) & clip.masks[1, t]).sum() < 30:
                continue  # apart: neither hides the other
            for layer, masks in enumerate(clip.masks):
                points = np.argwhere(masks[t]).astype(np.int32)
                hull = np.zeros(SIZE, np.uint8)
                cv2.fillConvexPoly(hull, cv2.convexHull(points)[:, 0, ::-1], 1)
                wholeness[layer].append(float(masks[t].sum() / hull.sum()))
    assert len(wholeness[0]) > 20
    # A rectangle is convex unless something is in front of it; some screens are.
    assert np.median(wholeness[1]) > 0.96
    assert np.median(wholeness[0]) < 0.9


def test_objects_enter_and_leave() -> None:
    made = clips(Composition(objects=(3, 5)), 30, frames=36)
    seen = [masks.any((1, 2)) for clip in made for masks in clip.masks]
    assert any(not tube[0] and tube[-1] for tube in seen)
    assert any(tube[0] and not tube[-1] for tube in seen)
    assert any(tube.all() for tube in seen)


def empty_scenes(still: float, seeds: range) -> Iterator[NDArray[np.float32]]:
    """Frames of clips without objects over a ground of strong contrasts, without their noise."""
    squares = np.random.default_rng(0).integers(0, 2, (25, 33, 3), dtype=np.uint8) * np.uint8(255)
    ground = cv2.resize(squares, (800, 600), interpolation=cv2.INTER_NEAREST)
    composition = Composition(objects=(0, 0), still=still)
    composer = Composer(drawn_library(ground=ground), composition)
    for seed in seeds:
        clip = composer.draw(np.random.default_rng(seed), range(36), (45, 60))
        assert clip.masks.shape == (0, 36, 45, 60)
        yield np.stack([cv2.GaussianBlur(f.astype(np.float32), (0, 0), 3) for f in clip.frames])


def test_a_camera_that_does_not_move_shows_the_same_all_the_time() -> None:
    # The path of one of the screens would turn round, if screens moved.
    for frames in empty_scenes(1.0, range(320, 350)):
        assert np.abs(frames - frames[0]).max() < 20


def test_a_camera_moves_no_faster_than_the_pace_along_either_axis() -> None:
    composer = Composer(drawn_library(), Composition(still=0, pace=0.5))
    speeds = []
    for seed in range(20):
        camera = composer._camera((576, 1400), 36, SIZE, np.random.default_rng(seed))
        speeds.append(np.abs(np.diff(camera.corners, axis=0)).max(0) / camera.heights[0])
    fastest = np.max(speeds, axis=0)
    assert (fastest <= 0.01 * 0.5 * 36 / 35 + 1e-9).all()
    assert (fastest > 0.01 * 0.5 * 0.7).all()


def test_a_camera_that_moves_never_leaps() -> None:
    moved = 0
    for frames in empty_scenes(0.0, range(10)):
        grey = frames.mean(3)
        (across, down), _ = cv2.phaseCorrelate(grey[0], grey[5])
        assert max(abs(across), abs(down)) < 0.06 * 60
        moved += np.abs(frames[-1] - frames[0]).mean() > 10
    assert moved >= 7


def test_nothing_of_what_is_transparent_shows_at_the_edges_of_pictures() -> None:
    """A white disc over white has a white edge; around it, its picture is black."""
    rows, columns = np.mgrid[:256, :256] - 127.5
    disc = np.where((np.hypot(rows, columns) < 100)[..., None], np.uint8(255), np.uint8(0))
    white = np.full((600, 800, 3), 255, np.uint8)
    library = replace(drawn_library(ground=white), sprites={2: (disc.repeat(4, 2),)})
    composition = Composition(objects=(1, 1), people=0, sprites=1, heights=(0.2, 0.6))
    composer = Composer(library, composition)
    for seed in range(12):
        clip = composer.draw(np.random.default_rng(seed), range(1), SIZE)
        for (mask,) in clip.masks:
            edge = clip.frames[0, mask & ~grown(mask, -1)].mean(axis=0)
            inside, outside = (clip.frames[0, m] for m in (grown(mask, -4), ~grown(mask, 4)))
            darker = np.minimum(np.median(inside, axis=0), np.median(outside, axis=0))
            assert (edge > 0.975 * darker).all()
