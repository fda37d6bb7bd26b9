"""`streamer.dataset.job`: several videos at once, failures, and an early end."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path

import pytest
import torch

from benchmarks.memory import reset_peak
from streamer.dataset import job as job_module
from streamer.dataset.annotations import Video
from streamer.dataset.job import DatasetJob
from streamer.dataset.memory import MOST, MemoryGauge
from streamer.dataset.progress import DatasetProgress
from streamer.errors import DeviceError, SourceError, StreamError, UnforeseenError
from tests.waits import PATIENCE_S

CPU = torch.device("cpu")
VIDEOS = [
    Video(video_id, (4, 4), (Path("a"),) * length)
    for video_id, length in enumerate([2, 9, 3, 5, 3])
]


class Segmenter:
    """Counts frames and remembers videos; fails on one if told to."""

    def __init__(self, fails: int | None = None, error: StreamError | None = None) -> None:
        self.finished: list[int] = []
        self._fails = fails
        self._error = error

    def segment(self, video: Video, on_frame: Callable[[], None]) -> None:
        for _ in video.images:
            on_frame()
        if video.video_id == self._fails and self._error is not None:
            raise self._error
        self.finished.append(video.video_id)


def make_job(
    segment: Callable[[Video, Callable[[], None]], None], *, skip_bad: bool = False
) -> DatasetJob:
    return DatasetJob(segment, CPU, DatasetProgress([], VIDEOS, quiet=True), skip_bad=skip_bad)


@pytest.mark.parametrize("parallel", [1, 2, 8])
def test_every_video_is_done_once(parallel: int) -> None:
    segmenter = Segmenter()
    make_job(segmenter.segment).run(VIDEOS, parallel, 6)
    assert sorted(segmenter.finished) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("parallel", [1, 2])
def test_so_many_run_at_once_as_asked_for(parallel: int, monkeypatch: pytest.MonkeyPatch) -> None:
    all_wait = threading.Event()
    together = threading.Barrier(parallel)
    threads: set[int] = set()

    def segment(*_: object) -> None:
        threads.add(threading.get_ident())
        assert all_wait.wait(PATIENCE_S)  # or the first might be done before the last is asked for
        together.wait(PATIENCE_S)

    def wait_for_all(futures: Sequence[Future[None]]) -> None:
        all_wait.set()
        wait(futures)

    monkeypatch.setattr(job_module, "wait", wait_for_all)
    make_job(segment).run(VIDEOS[:4], parallel, 6)
    assert len(threads) == parallel


def test_the_largest_video_is_judged_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    segmenter = Segmenter()

    def fitting(self: MemoryGauge) -> int:
        judged.extend(segmenter.finished)
        return 2

    monkeypatch.setattr(MemoryGauge, "fitting", fitting)
    make_job(segmenter.segment).run([*VIDEOS[:3], Video(5, (8, 8), (Path("a"),) * 3)], None, 4)
    assert judged == [5]  # 3 frames of 64 pixels, where no window holds more than 4 of 16
    assert sorted(segmenter.finished) == [0, 1, 2, 5]


def test_a_video_that_is_left_out_is_no_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    segmenter = Segmenter(1, SourceError("broken"))  # the largest

    def fitting(self: MemoryGauge) -> int:
        judged.extend(segmenter.finished)
        return 2

    monkeypatch.setattr(MemoryGauge, "fitting", fitting)
    make_job(segmenter.segment, skip_bad=True).run(VIDEOS, None, 36)
    assert judged == [3]
    assert sorted(segmenter.finished) == [0, 2, 3, 4]


def test_without_videos_nothing_happens() -> None:
    segmenter = Segmenter()
    job = make_job(segmenter.segment)
    job.run([], None, 6)
    assert (segmenter.finished, job.skipped) == ([], [])


@pytest.mark.parametrize("kind", [SourceError, DeviceError])
def test_a_failure_names_the_video_and_begins_no_other(kind: type[StreamError]) -> None:
    segmenter = Segmenter(2, kind("a.jpg: broken"))
    with pytest.raises(kind, match=r"^video 2: a\.jpg: broken"):
        make_job(segmenter.segment).run(VIDEOS, 1, 6)
    assert segmenter.finished[:2] == [0, 1]
    assert 4 not in segmenter.finished


def test_bad_videos_are_left_out_if_asked() -> None:
    segmenter = Segmenter(2, SourceError("a.jpg: broken"))
    job = make_job(segmenter.segment, skip_bad=True)
    job.run(VIDEOS, 2, 6)
    assert sorted(segmenter.finished) == [0, 1, 3, 4]
    assert job.skipped == ["video 2: a.jpg: broken"]


def test_a_device_that_fails_always_ends_the_job() -> None:
    segmenter = Segmenter(2, DeviceError("out of memory"))
    with pytest.raises(DeviceError, match="video 2: out of memory"):
        make_job(segmenter.segment, skip_bad=True).run(VIDEOS, 1, 6)
    assert 4 not in segmenter.finished


def test_bugs_are_no_bad_videos() -> None:
    def bug(video: Video, on_frame: Callable[[], None]) -> None:
        raise ZeroDivisionError("by 0")

    with pytest.raises(UnforeseenError, match=r"^video 0: ZeroDivisionError: by 0$") as caught:
        make_job(bug, skip_bad=True).run(VIDEOS[:1], 1, 6)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_stopping_gives_up_what_is_under_way() -> None:
    finished: list[int] = []

    def segment(video: Video, on_frame: Callable[[], None]) -> None:
        if video.video_id == 1:
            job.stop(15)
        on_frame()
        finished.append(video.video_id)

    job = make_job(segment)
    job.run(VIDEOS, 1, 6)
    assert finished == [0]
    assert job.signal == 15


def test_memory_decides_how_many_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    readings = {"VmRSS": 1_000, "MemAvailable": 10_000, "VmHWM": 3_000}
    monkeypatch.setattr("streamer.dataset.memory.kibibytes", lambda _, name: readings[name])
    gauge = MemoryGauge(CPU)
    assert gauge.fitting() == 4  # 2,000 each in 8,000
    readings["VmHWM"] = 4_000
    assert gauge.fitting() == 2
    readings["VmHWM"] = 100_000
    assert gauge.fitting() == 1
    readings["VmHWM"] = 1_000
    assert gauge.fitting() == MOST


def test_memory_is_really_read() -> None:
    reset_peak()
    gauge = MemoryGauge(CPU)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    assert gauge._before == pytest.approx(pages * resource.getpagesize() / 1024, rel=0.1)
    assert gauge._free > 10_000
    gauge._free = 2 * 65_536
    assert gauge.fitting() > 1
    block = torch.ones(2**24)  # 64 MiB
    assert block.sum() == 2**24
    assert gauge.fitting() == 1, "80 % of 128 MiB have room for one of at least 64"


@pytest.mark.gpu
def test_memory_of_cuda_is_really_read() -> None:
    gauge = MemoryGauge(torch.device("cuda"))
    block = torch.ones(gauge._free // 8, device="cuda")  # four bytes each
    assert block.sum() > 0
    assert gauge.fitting() == 1


@pytest.mark.usefixtures("terminal")
def test_the_bar_counts_frames_and_videos(capsys: pytest.CaptureFixture[str]) -> None:
    with DatasetProgress(VIDEOS[:1], VIDEOS[1:], quiet=False) as progress:
        for video in VIDEOS[1:]:
            for _ in video.images:
                progress.count_frames()
            progress.count_video()
    last = capsys.readouterr().err.rstrip().rsplit("\r", 1)[-1]
    assert "22/22" in last
    assert "5/5 videos" in last


@pytest.mark.usefixtures("terminal")
def test_the_bar_comes_to_its_end_over_videos_left_out(capsys: pytest.CaptureFixture[str]) -> None:

    def segment(video: Video, on_frame: Callable[[], None]) -> None:
        on_frame()
        if video.video_id == 1:
            raise SourceError("a.jpg: broken")
        for _ in video.images[1:]:
            on_frame()

    with DatasetProgress([], VIDEOS, quiet=False) as progress:
        DatasetJob(segment, CPU, progress, skip_bad=True).run(VIDEOS, 1, 6)
    last = capsys.readouterr().err.rstrip().rsplit("\r", 1)[-1]
    assert "22/22" in last
    assert "5/5 videos" in last
