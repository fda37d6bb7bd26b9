"""``python -m benchmarks.throughput`` runs, and its clock gives each stage its own time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest
import torch

from benchmarks import clock
from benchmarks.clock import StageClock, spread
from benchmarks.network_speed import _windows, keep_best
from benchmarks.picture import main as draw_picture
from benchmarks.stream_speed import steady_fps, stream_rows
from benchmarks.throughput import main
from streamer.assembly import load
from streamer.config import StreamConfig
from streamer.predictor import VistrPredictor
from streamer.window import Prediction, Window
from tests.clips import make_clip
from tests.frames import make_epoch, make_frame
from tests.tiny_vistr import tiny_vistr


class Works:
    """Each of its steps takes a known time of a clock that only they move."""

    now = 0.0

    def take(self, seconds: float) -> None:
        Works.now += seconds

    def inner(self) -> int:
        self.take(3)
        return 7

    def outer(self) -> int:
        self.take(1)
        found = self.inner()
        self.take(1)
        return found + self.inner()

    def several(self) -> Iterator[int]:
        for number in range(2):
            self.take(5)
            yield number


def test_a_stage_has_its_own_time_without_that_of_those_it_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock.time, "perf_counter", lambda: Works.now)
    stages = StageClock(torch.device("cpu"))
    methods = [(Works, "outer", "out"), (Works, "inner", "in"), (Works, "several", "each")]
    works = Works()
    with stages.on(methods):
        assert works.outer() == 14
        for _ in works.several():
            works.take(100)
    works.outer()  # not timed any more
    # The iterator is made, gives two elements, and says that there are no more.
    assert dict(stages.calls) == {"out": [2], "in": [3, 3], "each": [0, 5, 5, 0]}


def test_a_clock_waits_for_the_device_on_its_own_thread_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[torch.device] = []
    monkeypatch.setattr(clock, "synchronise", waits.append)
    stages = StageClock(torch.device("cpu"))
    works = Works()
    with stages.on([(Works, "inner", "in")]):
        other = threading.Thread(target=works.inner)
        other.start()
        other.join()
        assert not waits
        works.inner()
    assert len(waits) == 2
    assert len(stages.calls["in"]) == 2


def test_the_ends_of_a_stream_do_not_count() -> None:
    slow, steady, burst = [1000, 1000, 9000], [9010, 9020, 9030], [9030, 9030, 9030]
    times_ns = [ms * 1_000_000 for ms in slow + steady + burst]
    assert steady_fps(times_ns, window=3, stride=1) == pytest.approx(100)
    assert steady_fps(times_ns[:6], window=3, stride=1) is None


@pytest.mark.parametrize("frames", [21, 22, 24, 26])
def test_frames_that_come_at_once_count_as_a_whole(frames: int) -> None:
    times_ns = [index // 4 * 10**9 for index in range(frames)]
    assert steady_fps(times_ns, window=8, stride=4) == pytest.approx(4)
    assert steady_fps(times_ns[:19], window=8, stride=4) is None


def test_spread_is_in_milliseconds() -> None:
    assert spread([0.003, 0.001, 0.002]) == {
        "median_ms": 2,
        "min_ms": 1,
        "max_ms": 3,
        "count": 3,
    }


@pytest.fixture
def arguments(tmp_path: Path, weights: str) -> list[str]:
    make_clip(tmp_path / "clip.mp4", frames=20)
    return [f"--weights={weights}", f"--input={tmp_path}/clip.mp4", "--rounds=2", "--kept=2"]


class Ticks(threading.local):
    """A clock of each thread that goes on by a second whenever it is read."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def test_a_windows_stages_are_divided_by_the_stride(
    tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip(tmp_path / "clip.mp4", frames=20)
    config = StreamConfig(input=str(tmp_path / "clip.mp4"), weights=weights, device="cpu")
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=Ticks()))
    rows = stream_rows(load(config), config, (6, 2), 2)
    assert [row["ms_per_frame"]["relate"] for row in rows.values()] == [
        pytest.approx(1000 / stride) for stride in (6, 2)
    ]
    calls = rows["stride 2"]["calls"]["run lengths"]
    of_frames = calls["median_ms"] * calls["count"] / 20
    assert rows["stride 2"]["ms_per_frame"]["run lengths"] == pytest.approx(of_frames)


def test_the_best_slots_are_kept_whatever_their_scores() -> None:
    predictor = VistrPredictor(tiny_vistr(), threshold=1.0)
    with keep_best(2):
        assert predictor._select(torch.tensor([0.1, 0.3, 0.2]), torch.empty(0)) == [1, 2]


def test_a_first_window_whose_frames_are_all_new_is_not_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    new: list[int] = []
    predict = VistrPredictor.predict

    def noting(self: VistrPredictor, window: Window) -> Prediction:
        new.append(len(window.new))
        return predict(self, window)

    monkeypatch.setattr(VistrPredictor, "predict", noting)
    frames = [make_frame(index, make_epoch(size=(64, 96))) for index in range(6)]
    assert next(_windows(tiny_vistr(frames=6), frames, 2, graphs=False)) > 0
    assert new == [6, 2]


@pytest.mark.slow
def test_network_and_stream_are_timed_beside_the_reference(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "speed.json"
    assert main([*arguments, "--strides=6,2", f"--out={out}"]) == 0
    report = json.loads(out.read_text())
    network = report["network"]
    assert list(network) == ["stride 6", "stride 2", "reference", "speed_up"]
    assert network["reference"]["count"] == network["stride 2"]["count"] == 2
    assert network["stride 2"]["ms_per_new_frame"] * 2 == network["stride 2"]["median_ms"]
    assert network["stride 2"]["fps"] * network["stride 2"]["ms_per_new_frame"] == pytest.approx(
        1000
    )
    times = [network[name]["median_ms"] for name in ("reference", "stride 6")]
    assert network["speed_up"] == pytest.approx(times[0] / times[1])
    for stride, row in zip((6, 2), report["stream"].values(), strict=True):
        relate = row["calls"]["relate"]
        low, high = (relate[name] / stride for name in ("min_ms", "max_ms"))
        assert low <= row["ms_per_frame"]["relate"] <= high
        assert row["frames"] == 20
        assert row["fps"] > 0
        assert row["fps_of_whole_run"] > 0
        assert row["calls"]["decode"]["count"] >= 20
        assert 0 < row["calls"]["relate"]["min_ms"] <= row["calls"]["relate"]["median_ms"]
        per_frame = row["ms_per_frame"]
        assert per_frame.pop("record graphs") == 0  # of CUDA alone
        assert min(per_frame.values()) > 0, "every stage was reached"
    assert report["peak_mib"]["host"] > 0
    table, progress = capsys.readouterr()
    assert progress == ""  # where nobody watches it
    assert "| stride 2 |" in table
    assert "times the reference" in table
    kept = out.read_bytes()
    assert draw_picture([str(out), str(out)]) == 2  # the name of the picture was forgotten
    assert out.read_bytes() == kept
    assert draw_picture([str(tmp_path / "costs.png"), str(out)]) == 0
    drawn = cv2.imread(str(tmp_path / "costs.png"))
    assert drawn is not None
    assert drawn.std() > 0


def test_a_picture_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    for content in ('{"network": {}}', "[]", '{"network": []}'):
        other.write_text(content)
        assert draw_picture([str(tmp_path / "costs.png"), str(other)]) == 1
        assert "other.json: not a result of benchmarks.throughput" in capsys.readouterr().err


def test_a_stride_longer_than_the_window_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--strides=6,7"]) == 2
    assert "strides has 7, the window of the weights is 6" in capsys.readouterr().err
