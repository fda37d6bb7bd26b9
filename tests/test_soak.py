"""``python -m benchmarks.soak`` reads the resident set over a long stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import soak
from tests.clips import make_clip
from tests.tiny_vistr import save_tiny_vistr


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    save_tiny_vistr(tmp_path / "tiny.safetensors", frames=6, slots=3)
    make_clip(tmp_path / "clip.mp4", frames=20)
    given = [f"--weights={tmp_path / 'tiny.safetensors'}", f"--input={tmp_path / 'clip.mp4'}"]
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


def test_growth_after_the_warm_up_is_a_failure(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = iter(float(n) for n in range(50))
    monkeypatch.setattr(soak, "resident_mib", lambda: next(readings))
    assert soak.main([*arguments, "--limit_mib=38"]) == 1
    assert json.loads((tmp_path / "soak.json").read_text())["growth_mib"] == 39


def test_too_few_frames_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["--frames=50"]) == 2
    assert "frames is 50, expected more than 50" in capsys.readouterr().err
