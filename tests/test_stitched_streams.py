"""Identities over hundreds of frames: permuted slots, crossings, absences, crowds, duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from streamer.frame import Frame
from streamer.output import FrameResult
from streamer.scheduler import WindowScheduler
from streamer.stitching.merger import FrameMerger
from streamer.stitching.stitcher import Stitcher
from streamer.stitching.untangling import untangle
from streamer.window import Window
from tests.scripted_predictor import (
    SceneObject,
    ScriptedPredictor,
    make_epoch,
    make_frames,
    scene_masks,
)

STRIDES = [6, 12, 18, 35, 36]
FEW_STRIDES = [6, 18, 36]
FRAMES = 510
FEW_FRAMES = 220
NAMES = ["dummy", *(f"class_{number}" for number in range(1, 9))]

# Distinct objects that keep away from each other's lane.
LANES = [
    SceneObject((0.2, 0.15), (0.004, 0), (0.2, 0.2), category_id=1),
    SceneObject((0.7, 0.40), (-0.006, 0), (0.2, 0.2), category_id=2, round=True),
    SceneObject((0.5, 0.65), (0.003, 0), (0.25, 0.2), category_id=1),
    SceneObject((0.4, 0.88), (-0.005, 0), (0.2, 0.2), category_id=3),
]
# Two that pass through each other again and again, on nearly one line.
CROSSING = [
    SceneObject((0.15, 0.45), (0.008, 0), (0.2, 0.35), category_id=1),
    SceneObject((0.85, 0.55), (-0.008, 0), (0.2, 0.35), category_id=1),
]


def new_stitcher(memory: int = 360) -> Stitcher:
    return Stitcher(accept=0.3, memory=memory)


def stream(
    predictor: ScriptedPredictor,
    frames: Iterable[Frame],
    stitcher: Stitcher,
    *,
    stride: int,
    emit_delay: int = 1,
) -> list[FrameResult]:
    """Run one epoch through windows of 36, untangling, stitcher and merger."""
    scheduler = WindowScheduler(36, stride)
    merger = FrameMerger(emit_delay, NAMES)
    results: list[FrameResult] = []

    def process(window: Window | None) -> None:
        if window is not None:
            prediction = untangle(predictor.predict(window), window.real)
            identities = stitcher.identify(window, prediction)
            results.extend(merger.merge(window, prediction, identities))

    for frame in frames:
        merger.add(frame)
        process(scheduler.add(frame))
    process(scheduler.finish())
    results.extend(merger.flush())
    assert merger.pending == 0
    return results


def tracks_of(
    objects: Sequence[SceneObject], results: Sequence[FrameResult]
) -> list[dict[int, int]]:
    """Of every object the track id in each frame where an instance covers it (IoU over 0.5)."""
    found: list[dict[int, int]] = [{} for _ in objects]
    for result in results:
        index = result.frame.index
        truth = scene_masks(objects, index, result.frame.epoch.size)
        for instance in result.instances:
            mask = instance.mask()
            union = (truth | mask).sum(axis=(1, 2))
            iou = (truth & mask).sum(axis=(1, 2)) / union
            best = int(iou.argmax())
            if iou[best] > 0.5:
                assert index not in found[best], "two instances on one object"
                found[best][index] = instance.track_id
    return found


def assert_no_switch(
    objects: Sequence[SceneObject], results: Sequence[FrameResult], share: float = 0.97
) -> list[int]:
    """Every object keeps one id of its own, in nearly all frames; returns the ids."""
    ids = []
    for one, tracks in zip(objects, tracks_of(objects, results), strict=True):
        assert len(set(tracks.values())) == 1, f"{one}: {sorted(set(tracks.values()))}"
        visible = [result for result in results if one.shows(result.frame.index)]
        assert len(tracks) >= share * len(visible), f"{one}: found in {len(tracks)} frames"
        ids.append(next(iter(tracks.values())))
    assert len(set(ids)) == len(ids)
    return ids


@pytest.mark.parametrize("stride", STRIDES)
def test_permuted_slots_keep_their_ids(stride: int) -> None:
    stitcher = new_stitcher()
    results = stream(
        ScriptedPredictor(LANES), make_frames(make_epoch(), FRAMES), stitcher, stride=stride
    )

    assert [result.frame.index for result in results] == list(range(FRAMES))
    assert_no_switch(LANES, results, share=1)
    assert stitcher.births == len(stitcher._live) == len(LANES)
    categories = {i.track_id: i.category_id for r in results[-100:] for i in r.instances}
    assert sorted(categories.values()) == [1, 1, 2, 3]


@pytest.mark.parametrize(
    ("same", "stride"),
    [
        *(("class and looks", stride) for stride in STRIDES),  # the hardest
        *((same, stride) for same in ("class", "nothing") for stride in FEW_STRIDES),
    ],
)
def test_crossings_keep_their_ids(stride: int, same: str) -> None:
    first, second = CROSSING
    if same == "nothing":
        second = replace(second, category_id=2)
    if same == "class and looks":
        first, second = replace(first, kind=7), replace(second, kind=7)
    results = stream(
        ScriptedPredictor([first, second]),
        make_frames(make_epoch(), FRAMES),
        new_stitcher(),
        stride=stride,
    )

    # The rear one is mostly hidden while they pass.
    assert_no_switch([first, second], results, share=0.8)


@pytest.mark.parametrize("stride", FEW_STRIDES)
def test_masks_outweigh_embeddings_that_change_with_the_slot(stride: int) -> None:
    results = stream(
        ScriptedPredictor(LANES, embedding_noise=0.5, class_noise=0.3),
        make_frames(make_epoch(), FRAMES),
        new_stitcher(),
        stride=stride,
    )

    assert_no_switch(LANES, results)


@pytest.mark.parametrize("stride", STRIDES)
def test_an_object_that_was_away_is_known_again_within_memory_only(stride: int) -> None:
    away = SceneObject((0.2, 0.3), (0.003, 0), visible=((0, 150), (230, 300), (450, FRAMES)))
    stays = SceneObject((0.6, 0.8), (-0.002, 0), (0.2, 0.2), category_id=2)
    stitcher = new_stitcher(memory=120)
    results = stream(
        ScriptedPredictor([away, stays]), make_frames(make_epoch(), FRAMES), stitcher, stride=stride
    )

    tracks, _ = tracks_of([away, stays], results)
    assert_no_switch([stays], results)
    assert {tracks[index] for index in range(150)} == {tracks[230]}
    assert {tracks[index] for index in range(230, 300)} == {tracks[230]}
    # Away for 150 frames, memory is 120: somebody new.
    assert {tracks[index] for index in range(450, FRAMES)} == {tracks[450]}
    assert tracks[450] not in (tracks[0], tracks[230])
    assert stitcher.births == 3
    assert len(stitcher._live) == 2


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("speed", [0, 0.002])
def test_who_is_hidden_for_part_of_a_window_stays_one_track(stride: int, speed: float) -> None:
    """Such a window has it in two rows, and the next ones may see little of the first."""
    hidden = SceneObject((0.3, 0.5), (speed, 0), visible=((0, 39), (49, 93), (108, FEW_FRAMES)))
    stitcher = new_stitcher()
    results = stream(
        ScriptedPredictor([hidden]), make_frames(make_epoch(), FEW_FRAMES), stitcher, stride=stride
    )
    assert_no_switch([hidden], results)
    assert stitcher.births == 1


@pytest.mark.parametrize("stride", STRIDES)
def test_more_objects_than_slots(stride: int) -> None:
    objects = [
        SceneObject((0.1 + 0.12 * column, row), (0.0002, 0), (0.08, 0.2))
        for column in range(7)
        for row in (0.2, 0.7)
    ]
    stitcher = new_stitcher()
    results = stream(
        ScriptedPredictor(objects, slots=10),
        make_frames(make_epoch(), FEW_FRAMES),
        stitcher,
        stride=stride,
    )

    # A window has room for 10 of 14: the rest is not seen, but nobody changes identity.
    assert_no_switch(objects, results, share=0.3)
    assert stitcher.births == len(objects)


@pytest.mark.parametrize("stride", FEW_STRIDES)
def test_duplicates_are_left_out(stride: int) -> None:
    stitcher = new_stitcher()
    predictor = ScriptedPredictor(LANES, duplicates=3)
    frames = make_frames(make_epoch(), FEW_FRAMES)
    results = stream(predictor, frames, stitcher, stride=stride)

    assert_no_switch(LANES, results, share=1)
    assert stitcher.births == len(LANES)


@pytest.mark.parametrize("count", [1, 5, 35])
def test_short_clips_give_each_object_one_id(count: int) -> None:
    results = stream(
        ScriptedPredictor(LANES), make_frames(make_epoch(), count), new_stitcher(), stride=18
    )

    assert [result.frame.index for result in results] == list(range(count))
    assert_no_switch(LANES, results, share=1)


def test_a_new_epoch_forgets_the_tracks_and_goes_on_counting() -> None:
    stitcher = new_stitcher()
    predictor = ScriptedPredictor(LANES)
    first = stream(predictor, make_frames(make_epoch(), 80), stitcher, stride=18)
    stitcher.new_epoch()
    assert len(stitcher._live) == 0
    other = make_epoch(index=1, reason="size")
    wider = ScriptedPredictor(LANES, mask_size=(30, 40))
    second = stream(wider, make_frames(other, 80, first=80), stitcher, stride=18)

    assert sorted(assert_no_switch(LANES, first)) == [1, 2, 3, 4]
    assert sorted(assert_no_switch(LANES, second)) == [5, 6, 7, 8]


def test_memory_counts_frames_so_that_a_hole_ages_tracks() -> None:
    epoch = make_epoch()
    frames = [*make_frames(epoch, 72), *make_frames(epoch, 72, first=672)]
    stitcher = new_stitcher(memory=360)
    results = stream(ScriptedPredictor(LANES), frames, stitcher, stride=36)

    ids = [{i.track_id for i in result.instances} for result in results]
    assert ids[0] == ids[71] == {1, 2, 3, 4}
    assert ids[72] == ids[-1] == {5, 6, 7, 8}


def test_memory_is_bounded_over_many_births_and_deaths() -> None:
    objects = [
        SceneObject(
            (0.2 + 0.6 * (number % 2), 0.3),
            (0.002, 0.001),
            category_id=1 + number % 5,
            visible=((40 * number, 40 * number + 70),),
        )
        for number in range(25)
    ]
    predictor = ScriptedPredictor(objects, mask_size=(12, 20))
    stitcher = new_stitcher(memory=60)
    scheduler = WindowScheduler(36, 12)
    merger = FrameMerger(1, NAMES)
    most_live = most_held = most_pending = count = 0
    for frame in make_frames(make_epoch((24, 40)), 1000):
        merger.add(frame)
        window = scheduler.add(frame)
        if window is not None:
            prediction = predictor.predict(window)
            count += len(merger.merge(window, prediction, stitcher.identify(window, prediction)))
            most_live = max(most_live, len(stitcher._live))
            most_held = max(most_held, stitcher._overlap.masks.nbytes)
        most_pending = max(most_pending, merger.pending)

    assert stitcher.births == 25
    assert most_live <= 6
    assert most_held <= 6 * 24 * 12 * 20 * np.dtype(np.float16).itemsize
    assert most_pending <= 36
    assert all(len(track.frames) <= 36 for track in stitcher._live.values())
    assert count + merger.pending == 1000
