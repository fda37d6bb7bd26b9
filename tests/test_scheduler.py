"""`streamer.scheduler` and `streamer.window`: when windows are due and what they hold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import ConfigError
from streamer.scheduler import WindowScheduler
from streamer.window import Prediction, Window
from tests.frames import make_epoch, make_frame

EPOCH = make_epoch(size=(4, 4))
FRAMES = [make_frame(index, EPOCH) for index in range(200)]


def schedule(count: int, scheduler: WindowScheduler) -> list[Window]:
    windows = [window for frame in FRAMES[:count] if (window := scheduler.add(frame))]
    closing = scheduler.finish()
    return windows + ([closing] if closing else [])


def test_a_file_waits_for_a_full_window_then_strides() -> None:
    windows = schedule(72, WindowScheduler(36, 18))
    assert [window.real[0] for window in windows] == [0, 18, 36]
    assert [len(window.new) for window in windows] == [36, 18, 18]
    assert [window.leaving for window in windows] == [18, 18, 18]
    assert all(window.length == 36 for window in windows)


def test_the_last_partial_stride_gets_the_newest_full_window() -> None:
    *_, last = schedule(41, WindowScheduler(36, 18))
    assert last.real == tuple(range(5, 41))
    assert [frame.index for frame in last.new] == [36, 37, 38, 39, 40]
    assert last.leaving == 36


def test_a_live_stream_warms_up_with_cyclic_repetition() -> None:
    windows = schedule(48, WindowScheduler(36, 12, warm_up=True))
    assert windows[0].indices == tuple(range(12)) * 3
    assert windows[1].indices == tuple(range(24)) + tuple(range(12))
    assert [window.length for window in windows] == [12, 24, 36, 36]
    assert [window.leaving for window in windows] == [0, 0, 12, 12]


@pytest.mark.parametrize("count", [1, 2, 35])
def test_a_short_clip_is_repeated_cyclically(count: int) -> None:
    (window,) = schedule(count, WindowScheduler(36, 18))
    assert window.length == count
    assert window.indices == tuple(i % count for i in range(36))
    assert window.leaving == count


def test_a_stride_that_grows_takes_what_waits() -> None:
    scheduler = WindowScheduler(36, 12, warm_up=True, grows=True)
    # Behind at first, by up to 40 frames; then no more.
    windows = [w for i in range(100) if (w := scheduler.add(FRAMES[i], more=i < 50))]
    assert [len(window.new) for window in windows] == [36, 15, 12, 12, 12, 12]
    assert {window.leaving for window in windows} == {12}  # the next one may be on time
    fixed = WindowScheduler(36, 12, warm_up=True)
    windows = [w for i in range(100) if (w := fixed.add(FRAMES[i], more=True))]
    assert [len(window.new) for window in windows] == [12] * 8


def test_a_window_that_was_put_off_does_not_wait_for_a_key_frame() -> None:
    scheduler = WindowScheduler(36, 12, frame_step=5, warm_up=True, grows=True)
    # With the twelfth key frame another frame waits, and after that none.
    windows = {i: w for i in range(60) if (w := scheduler.add(FRAMES[i], more=i == 55))}
    assert list(windows) == [56]
    assert windows[56].real == tuple(range(0, 60, 5))


def test_no_frames_no_window() -> None:
    assert schedule(0, WindowScheduler(36, 18)) == []


def test_frame_step_lets_every_third_frame_in() -> None:
    windows = schedule(20, WindowScheduler(4, 2, frame_step=3))
    assert windows[0].real == (0, 3, 6, 9)
    assert windows[-1].real[-1] == 18


def test_an_epoch_begins_afresh() -> None:
    scheduler = WindowScheduler(4, 2, frame_step=2)
    first = [window.indices for window in schedule(13, scheduler)]
    assert first == [(0, 2, 4, 6), (4, 6, 8, 10), (6, 8, 10, 12)]
    (window,) = schedule(2, scheduler)
    assert window.real == (0,)
    assert [window.indices for window in schedule(13, scheduler)] == first


@pytest.mark.parametrize("stride", [0, 37])
def test_a_stride_beyond_the_window_is_refused(stride: int) -> None:
    with pytest.raises(ConfigError, match=f"stride is {stride}; allowed: from 1 to 36"):
        WindowScheduler(36, stride)


@given(
    count=st.integers(0, 150),
    size=st.integers(1, 36),
    data=st.data(),
    warm_up=st.booleans(),
    step=st.integers(1, 4),
)
def test_every_key_frame_is_new_once_and_held_until_it_leaves(
    count: int, size: int, data: st.DataObject, warm_up: bool, step: int
) -> None:
    stride = data.draw(st.integers(1, size))
    windows = schedule(count, WindowScheduler(size, stride, step, warm_up=warm_up))
    assert [f.index for w in windows for f in w.new] == list(range(0, count, step))
    for before, after in pairwise(windows):
        # Whatever is old in a window was in the one before, so its features are still held.
        old = set(after.real[: after.length - len(after.new)])
        assert old <= set(before.real)
        if len(after.new) == stride:
            assert old == set(before.real[before.leaving :])


def test_a_window_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="leaving"):
        Window((0, 1), 2, (), 3)
    with pytest.raises(ValueError, match="last real ones"):
        Window((0, 1), 2, (FRAMES[0],), 0)


def test_a_prediction_whose_parts_do_not_fit_is_refused() -> None:
    parts = {
        "scores": np.zeros(2, np.float32),
        "class_votes": np.zeros((2, 3), np.float32),
        "embeddings": np.zeros((2, 8), np.float32),
        "boxes": np.zeros((5, 2, 4), np.float32),
        "presence": np.zeros((5, 2), np.bool_),
        "masks": np.zeros((5, 2, 4, 4), np.float32),
        "colours": np.zeros((5, 2, 6), np.float32),
    }
    assert len(Prediction(**parts)) == 2
    with pytest.raises(ValueError, match="boxes"):
        Prediction(**parts | {"boxes": np.zeros((5, 3, 4), np.float32)})
