"""The batches of the steps: what they depend on, and what shape they have."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from streamer.errors import SourceError, StreamError
from tests.processes import started
from tests.training_cases import random_clip
from tests.waits import PATIENCE_S
from training.clip import Clip
from training.feed import BatchShape, FeedError, StepBatches, batches
from training.sources import DrawnVideos
from training.targets import Batch
from training.youtube_vis import YouTubeVis
from training.youtube_vis_writer import write_youtube_vis

SHAPE = BatchShape(frames=3, window=6, pixels=4 * 3 * 32 * 43, short_sides=(32,), aspects=(4 / 3,))


@dataclass
class Rectangles:
    """Clips with one to three objects; top level, so that another process can make them too."""

    asked: list[list[int]] = field(default_factory=list)

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        self.asked.append(list(times))
        labels = rng.integers(1, 6, size=rng.integers(1, 4)).tolist()
        return random_clip(rng, labels, len(times), size)


def steps(shape: BatchShape = SHAPE, *, seed: int = 0, count: int = 6) -> StepBatches:
    return StepBatches(Rectangles(), shape, seed, count)


def same(first: Batch, second: Batch) -> bool:
    pairs = ((getattr(first, f.name), getattr(second, f.name)) for f in fields(Batch))
    return all(torch.equal(*pair) for pair in pairs)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    once, again = steps(), steps(count=100)
    expected = [once[step] for step in range(4)]
    for step in (3, 0, 2, 1, 3):
        assert same(again[step], expected[step])
    assert not same(expected[0], expected[1])
    assert not any(same(steps(seed=1)[0], batch) for batch in expected)
    assert len(again) == 100


class Interrupted(Rectangles):
    """The same; Ctrl-C reaches the other process as it starts, and while it draws."""

    def __setstate__(self, state: dict[str, list[list[int]]]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        self.__dict__.update(state)

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGINT)
        return super().draw(rng, times, size)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_other_processes_make_the_same_batches_from_the_step_asked_for(workers: int) -> None:
    made = list(batches(StepBatches(Interrupted(), SHAPE, seed=0, steps=6), 3, workers))
    assert len(made) == 3
    assert all(same(batch, steps()[step]) for step, batch in enumerate(made, start=3))


class Killed(Rectangles):
    """The same; the system ends the other process."""

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_a_process_that_is_gone_is_an_error_of_one_line() -> None:
    with pytest.raises(StreamError, match="a process that makes the batches failed: DataLoader"):
        list(batches(StepBatches(Killed(), SHAPE, seed=0, steps=1), 0))


def _end(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@dataclass
class End:
    """Ends the other process as soon as that has read it."""

    number: signal.Signals

    def __reduce__(self) -> tuple[object, ...]:
        return _end, (self.number,)


class Long(Rectangles):
    """The same; the other process is told to end while it reads them, more than a pipe holds."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__()
        self.first, self.then = End(number), bytes(10**6)


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGTERM, "DataLoader.*"), (signal.SIGKILL, ".*Broken pipe")]
)
def test_a_process_that_is_ended_as_it_starts_is_an_error_of_one_line(
    number: signal.Signals, reason: str
) -> None:
    with pytest.raises(FeedError, match=f"a process that makes the batches failed: {reason}$"):
        list(batches(StepBatches(Long(number), SHAPE, seed=0, steps=1), 0))


DRAWING = """from tests.test_training_feed import Rectangles, SHAPE
from training.feed import StepBatches, batches
for _ in batches(StepBatches(Rectangles(), SHAPE, seed=0, steps=100), 0, 2):
    print("written", flush=True)
    input()
"""


@pytest.mark.slow
def test_a_training_that_is_killed_leaves_no_process_behind() -> None:
    with started(sys.executable, "-c", DRAWING, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.kill()
        process.communicate(timeout=PATIENCE_S)  # all that could print have ended


def _reset() -> None:
    if multiprocessing.parent_process() is None:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


class Reset:
    """What a process that is just going has sent, and no longer gives."""

    def __reduce__(self) -> tuple[object, ...]:
        return _reset, ()


class Going(Rectangles):
    """The same; the other process is gone before what it has sent is read, yet still listed."""

    left_out = (Reset(),)

    def leave_out(self, line: str) -> None:
        raise AssertionError


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_a_process_that_is_just_going_is_an_error_of_one_line() -> None:
    with pytest.raises(FeedError, match=r"batches failed: \[Errno 104\] Connection reset by peer$"):
        list(batches(StepBatches(Going(), SHAPE, seed=0, steps=1), 0))


class Exhausted(Rectangles):
    """The same; PyTorch finds no memory in the other process."""

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        raise RuntimeError("not enough memory: you tried to allocate 9 bytes\n\nC++ stack:\n#1")


class Refused(Rectangles):
    """The same; OpenCV refuses what the other process asks it for."""

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        cv2.resize(np.zeros((4, 4), np.uint8), (0, 4))
        raise AssertionError


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize(
    ("source", "reason"), [(Exhausted(), "not enough memory: you tried.*"), (Refused(), "OpenCV.*")]
)
def test_why_a_process_failed_is_said_in_one_line(source: Rectangles, reason: str) -> None:
    with pytest.raises(FeedError) as error:
        list(batches(StepBatches(source, SHAPE, seed=0, steps=1), 0))
    assert re.fullmatch(f"a process that makes the batches failed: {reason}", str(error.value))


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A data set of three videos of one frame, of which two are damaged."""
    rng = np.random.default_rng(0)
    clips = {name: random_clip(rng, [1], 1, (32, 43)) for name in ("a", "b", "c")}
    write_youtube_vis(tmp_path, clips.items(), ["cat"])
    for name in ("a", "c"):
        (tmp_path / "JPEGImages" / name / "00000.jpg").write_bytes(b"no picture")
    return tmp_path


def drawn(folder: Path, *, skip_bad: bool) -> StepBatches:
    """Eight steps of a clip each."""
    annotations, images = folder / "annotations.json", folder / "JPEGImages"
    videos = YouTubeVis(annotations, images, categories=1, skip_bad=skip_bad)
    return StepBatches(DrawnVideos(videos, 4, augment=False), replace(SHAPE, pixels=1), 0, 8)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_what_another_process_cannot_read_is_an_error_of_one_line(damaged: Path) -> None:
    with pytest.raises(SourceError) as error:
        list(batches(drawn(damaged, skip_bad=False), 0))
    named = rf"{damaged}/annotations\.json: video [13]: {damaged}/JPEGImages/[ac]/00000\.jpg: .*"
    assert re.fullmatch(named, str(error.value))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_other_processes_leave_out_is_counted_here_and_said_once(
    workers: int,
    damaged: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    steps = drawn(damaged, skip_bad=True)
    assert len(list(batches(steps, 0, workers))) == 8
    assert isinstance(steps.source, DrawnVideos)
    assert steps.source.videos.skipped == {"unusable image": 2}
    assert [line.split("/")[-2] for line in sorted(steps.source.left_out)] == ["a", "c"]
    assert len(caplog.messages) == 1
    assert "left out" not in capfd.readouterr().err  # by those processes


@pytest.mark.parametrize(
    ("aspects", "sizes"),
    [
        ((4 / 3,), {(32, 43), (48, 64)}),
        ((1.0,), {(32, 32), (48, 48)}),
        ((9 / 16, 2.0), {(57, 32), (85, 48), (32, 64), (48, 96)}),
    ],
)
def test_each_batch_has_one_of_the_short_sides_and_aspects(
    aspects: Sequence[float], sizes: set[tuple[int, int]]
) -> None:
    dataset = steps(replace(SHAPE, short_sides=(32, 48), aspects=aspects, pixels=1))
    assert {tuple(dataset[step].frames.shape[2:4]) for step in range(20)} == sizes


@pytest.mark.parametrize(("pixels", "clips"), [(0, 1), (3, 3), (3.99, 3)])
def test_as_many_clips_as_fit_and_one_at_least(pixels: float, clips: int) -> None:
    batch = steps(replace(SHAPE, pixels=int(pixels * 3 * 32 * 43)))[0]
    assert batch.frames.shape == (clips, 3, 32, 43, 3)
    assert len(batch.times) == len(batch.labels) == clips
    frames = batch.frames.flatten(1).tolist()
    assert all(frame != frames[0] for frame in frames[1:])


def test_short_clips_show_what_happens_at_their_places_in_the_window() -> None:
    source = Rectangles()
    batch = StepBatches(source, SHAPE, 0, 1)[0]
    for asked, times in zip(source.asked, batch.times.tolist(), strict=True):
        assert times == sorted(set(times))
        assert times[0] >= 0
        assert times[-1] < SHAPE.window
        assert asked == [t - times[0] for t in times]
    assert len({tuple(times) for times in batch.times.tolist()}) > 1


def test_consecutive_frames_follow_each_other_from_anywhere_on() -> None:
    dataset = steps(replace(SHAPE, consecutive=True), count=20)
    times = torch.cat([dataset[step].times for step in range(20)])
    assert (times.diff(dim=1) == 1).all()
    assert set(times[:, 0].tolist()) == {0, 1, 2, 3}


def test_whole_windows_have_all_places_in_order() -> None:
    whole = steps(replace(SHAPE, frames=6))[0]
    assert whole.times.tolist() == [[0, 1, 2, 3, 4, 5]] * 2


def test_single_frames_stand_anywhere_in_the_window() -> None:
    dataset = steps(replace(SHAPE, frames=1))
    times = torch.stack([dataset[step].times for step in range(5)])
    assert times.shape == (5, 12, 1)
    assert set(times.flatten().tolist()) == set(range(6))
    assert (times[0] != times[0, 0]).any()
