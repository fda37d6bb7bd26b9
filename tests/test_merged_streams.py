"""Whole epochs through windows, stitcher and merger: every frame once, in order, well placed."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np
import pytest

from streamer.output import FrameResult
from streamer.scheduler import WindowScheduler
from streamer.stitching.merger import FrameMerger
from streamer.stitching.stitcher import Stitcher
from streamer.window import Window
from tests.scripted_predictor import (
    SceneObject,
    ScriptedPredictor,
    make_epoch,
    make_frames,
    scene_masks,
)

NAMES = ["dummy", "cat", "dog"]


def indices_of(results: Sequence[FrameResult]) -> list[int]:
    return [result.frame.index for result in results]


def run(
    count: int,
    *,
    size: int = 36,
    stride: int = 12,
    emit_delay: int = 1,
    frame_step: int = 1,
    warm_up: bool = False,
    behind: Container[int] = (),
) -> tuple[list[FrameResult], int]:
    """One epoch of moving objects; the results, and the most frames that ever waited.

    `behind` are frames after which another waits already, and the stride grows.
    """
    merger = FrameMerger(emit_delay, NAMES)
    scheduler = WindowScheduler(size, stride, frame_step, warm_up=warm_up, grows=bool(behind))
    stitcher = Stitcher(accept=0.3, memory=360)
    predictor = ScriptedPredictor(OBJECTS)
    results: list[FrameResult] = []
    most = 0

    def process(window: Window | None) -> None:
        if window is not None:
            prediction = predictor.predict(window)
            identities = stitcher.identify(window, prediction)
            results.extend(merger.merge(window, prediction, identities))

    for frame in make_frames(make_epoch(), count):
        merger.add(frame)
        most = max(most, merger.pending)
        process(scheduler.add(frame, more=frame.index in behind))
    process(scheduler.finish())
    results.extend(merger.flush())
    assert merger.pending == 0
    return results, most


OBJECTS = [
    SceneObject((0.3, 0.5), (0.0015, 0.002), (0.25, 0.4)),
    SceneObject((0.8, 0.3), (0, 0.003), (0.2, 0.3), category_id=2),
]


@pytest.mark.parametrize("emit_delay", [0, 1, 3])
@pytest.mark.parametrize("frame_step", [1, 3])
@pytest.mark.parametrize(("stride", "count"), [(1, 50), (12, 130), (36, 110), (18, 1), (18, 5)])
def test_every_frame_once_in_order(
    emit_delay: int, frame_step: int, stride: int, count: int
) -> None:
    results, most = run(count, stride=stride, emit_delay=emit_delay, frame_step=frame_step)

    assert indices_of(results) == list(range(count))
    assert [result.interpolated for result in results] == [i % frame_step > 0 for i in range(count)]
    assert all(len(result.instances) == 2 for result in results)
    # At most a window, and what was added since the last stride.
    assert most <= (36 + stride) * frame_step


def test_live_frames_leave_before_the_first_full_window() -> None:
    results, most = run(100, stride=12, emit_delay=0, warm_up=True)

    assert indices_of(results) == list(range(100))
    assert most == 12


@pytest.mark.parametrize("emit_delay", [0, 1, 3])
@pytest.mark.parametrize("frame_step", [1, 3])
def test_every_frame_once_where_the_stride_grows(emit_delay: int, frame_step: int) -> None:
    results, _ = run(
        300,
        emit_delay=emit_delay,
        frame_step=frame_step,
        warm_up=True,
        behind=[*range(20, 90), *range(150, 170)],
    )

    assert indices_of(results) == list(range(300))
    assert all(len(result.instances) == 2 for result in results)
    assert {i.track_id for result in results for i in result.instances} == {1, 2}


@pytest.mark.parametrize("frame_step", [1, 3])
def test_masks_follow_the_scene(frame_step: int) -> None:
    results, _ = run(150, frame_step=frame_step)

    for result in results:
        truth = scene_masks(OBJECTS, result.frame.index, result.frame.epoch.size)
        by_category = {instance.category_id: instance.mask() for instance in result.instances}
        masks = np.stack([by_category[1], by_category[2]])
        iou = (truth & masks).sum(axis=(1, 2)) / (truth | masks).sum(axis=(1, 2))
        assert iou.min() > 0.7, result.frame
