"""``python -m benchmarks.soak`` reads memory and descriptors over a long stream, and counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import soak
from streamer.stats import Summary
from tests.clips import make_clip
from tests.messages import received
from tests.results import frame_result

CAMERA = ("--camera", "--frames=1800", "--stride=3")


@pytest.fixture
def arguments(tmp_path: Path, weights: str) -> list[str]:
    make_clip(tmp_path / "clip.mp4", frames=20)
    given = [f"--weights={weights}", f"--input={tmp_path / 'clip.mp4'}"]
    return [*given, "--frames=100", "--stride=6", f"--out={tmp_path / 'soak.json'}"]


def test_memory_is_read_over_a_clip_played_again_and_again(
    arguments: list[str], tmp_path: Path
) -> None:
    assert soak.main([*arguments, "--limit_mib=1000"]) == 0
    report = json.loads((tmp_path / "soak.json").read_text())
    assert report["frames"] == 100
    assert report["dropped"] == 0
    assert [int(index) for index in report["resident_mib"]] == list(range(0, 100, 2))
    assert min(report["resident_mib"].values()) > 10
    assert report["unaccounted"] == 0
    assert report["growth_descriptors"] <= 0  # the decoder ends before the reader
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p99"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_three_minutes_of_a_camera(tmp_path: Path, weights: str) -> None:
    out = tmp_path / "soak.json"
    # The machine may be shared: how late frames are is not what is tested.
    given = [f"--weights={weights}", "--slack_ms=1e9", f"--out={out}"]
    assert soak.main([*given, *CAMERA]) == 0
    report = json.loads(out.read_text())
    assert report["frames"] + report["dropped"] == 1800
    assert report["unaccounted"] == 0
    assert report["growth_mib"] <= 50
    assert report["growth_descriptors"] <= 0
    # Of the shipped clip, 10 frames a second: two more to wait for, and the window.
    assert report["promised_ms"] >= 200


@pytest.mark.parametrize(
    ("descriptors", "growth"),
    [
        ([20] * 30 + [21, 20] * 10, 0),  # a file is opened and closed again
        ([30] * 10 + [20] * 40, 0),  # of the beginning
        ([20] * 30 + [21] * 20, 1),  # a file stays open
    ],
)
def test_what_is_open_for_a_moment_is_no_growth(descriptors: list[float], growth: float) -> None:
    assert round(soak._growth(descriptors)) == growth


def test_what_does_not_hold_is_said() -> None:
    report = {
        "growth_mib": 60,
        "growth_descriptors": 2,
        "unaccounted": 1,
        "camera": True,
        "latency_ms": {"p99": 1500},
        "promised_ms": 1200,
    }
    assert soak._failures(report, 50, 250) == [
        "memory grew by 60 MiB, allowed are 50",
        "2 descriptors were left open",
        "1 frames are unaccounted for",
        "p99 of the latency is 1500 ms, promised were 1200 ms",
    ]
    held = report | {"growth_mib": 50, "growth_descriptors": 0, "unaccounted": 0, "camera": False}
    assert soak._failures(held, 50, 250) == []


def test_a_frame_that_nobody_has_dropped_is_unaccounted_for() -> None:
    watch = soak._Watch(every=10)
    for index, dropped in ((0, 0), (1, 0), (4, 2), (6, 0), (7, 1)):
        watch.see(received(frame_result(index, dropped=dropped)))
    assert watch.received == 5
    assert watch.unaccounted == 2  # frame 5, and the one that frame 7 says was dropped


def test_what_is_lost_between_decoder_outputs_and_reader_is_found_and_what_is_promised() -> None:
    watch = soak._Watch(every=1)
    for index in range(12):
        frame = received(frame_result(index, fps=10), after_ns=1_000_000)
        arrived_ns = frame.received_unix_ns - 70_000_000
        watch.see(replace(frame, capture_unix_ns=arrived_ns))
    # One more was given out than the reader got, and the decoder had two more than that and drops.
    summary = Summary(19, 4, 13, 0, 0, 4, 1.0, 1, 2.0, (10.0, 20.0, 30.0), (1.0, 2.0, 3.0))
    found = soak._found(summary, watch, 3)
    assert found["unaccounted"] == 3
    assert found["promised_ms"] == 2 * 100 + 30
    assert found["latency_ms"] == {"p50": 70, "p95": 70, "p99": 70}


def test_growth_after_the_warm_up_is_a_failure(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    readings = iter(float(n) for n in range(50))
    monkeypatch.setattr(soak, "resident_mib", lambda: next(readings))
    assert soak.main([*arguments, "--limit_mib=29"]) == 1
    assert "error: memory grew by 30.0 MiB, allowed are 29.0\n" in capsys.readouterr().err
    assert json.loads((tmp_path / "soak.json").read_text())["growth_mib"] == 30


def test_too_few_frames_to_compare_are_an_error(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(soak, "WARM_UP", soak.READINGS)
    assert soak.main(arguments) == 2
    assert "frames is 100, of which 100 arrived: too few" in capsys.readouterr().err


def test_too_few_frames_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["--frames=50"]) == 2
    assert "frames is 50, expected more than 50" in capsys.readouterr().err
