"""``python -m benchmarks.latency`` replays a clip as a camera and times each frame's masks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import latency
from benchmarks.latency import main
from benchmarks.report import percentiles, since_capture_ms
from model import VisTR
from streamer.config import StreamConfig
from streamer.errors import WireError
from streamer.stats import Summary
from tests.clips import make_clip
from tests.messages import received
from tests.processes import ROOT
from tests.results import frame_result


def test_every_frame_is_received_or_counted_as_dropped(tmp_path: Path, weights: str) -> None:
    make_clip(tmp_path / "clip.mp4", frames=20)
    given = [f"--weights={weights}", f"--input={tmp_path / 'clip.mp4'}"]
    out = tmp_path / "latency.json"
    # Twice through the clip: it is replayed until there are enough frames.
    assert main([*given, "--frames=40", "--stride=3", f"--out={out}"]) == 0
    report = json.loads(out.read_text())
    assert report["frames"] + report["dropped"] == 40
    assert report["received"] == report["frames"] > 0
    latency = report["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]


def test_a_frames_latency_is_in_milliseconds_from_its_arrival() -> None:
    frame = received(frame_result(0))
    arrived_ns = frame.received_unix_ns - 5_000_000
    assert since_capture_ms(replace(frame, capture_unix_ns=arrived_ns)) == 5


def test_percentiles_are_called_what_they_are() -> None:
    assert percentiles(range(101)) == {"p50": 50, "p95": 95, "p99": 99}


def test_the_stream_is_run_as_it_was_asked_for(
    tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[StreamConfig] = []

    def run(_: VisTR, config: StreamConfig, receive: object) -> Summary:
        given.append(config)
        return Summary(20, 0, 20, 0, 0, 7, 1.0, 1, 2.0, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))

    monkeypatch.setattr(latency, "run_published", run)
    make_clip(tmp_path / "clip.mp4", frames=20)
    out = tmp_path / "latency.json"
    arguments = [f"--weights={weights}", f"--input={tmp_path / 'clip.mp4'}", f"--out={out}"]
    assert main([*arguments, "--frames=20", "--stride=3", "--frame_step=2"]) == 0
    (config,) = given
    assert (config.window.stride, config.window.frame_step, config.max_frames) == (3, 2, 20)
    assert json.loads(out.read_text())["window_ms"] == {"p50": 1, "p95": 2, "p99": 3}


def test_a_reader_that_fails_fails_the_run(
    tmp_path: Path, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> float:
        raise WireError("not to be read")

    monkeypatch.setattr(latency, "since_capture_ms", fail)
    make_clip(tmp_path / "clip.mp4", frames=20)
    out = tmp_path / "latency.json"
    given = [f"--weights={weights}", f"--input={tmp_path / 'clip.mp4'}", "--frames=20"]
    assert main([*given, "--stride=3", f"--out={out}"]) == 1
    assert not out.exists()


def test_a_report_that_cannot_be_printed_is_kept(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from benchmarks.report import show_report"
    script += "; show_report({'a': 1}, Path(sys.argv[1]))"
    command = [sys.executable, "-u", "-c", script, str(tmp_path / "report.json")]
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        subprocess.run(command, stdout=full, cwd=ROOT, check=True)
    assert json.loads((tmp_path / "report.json").read_text()) == {"a": 1}


def test_what_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"--input={tmp_path / 'none.mp4'}"]) == 1
    assert "none.mp4" in capsys.readouterr().err


def test_where_to_write_is_known_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--out", str(tmp_path / "gone" / "report.json")])
    assert caught.value.code == 2
    assert f"the folder {tmp_path / 'gone'} does not exist" in capsys.readouterr().err
