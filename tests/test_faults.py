"""`benchmarks.faults` runs, and says what it promises to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.faults import SETTINGS, main


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_fault_of_each_kind_is_timed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--times", "1", "--out", str(tmp_path / "faults.json")]) == 0
    report = json.loads((tmp_path / "faults.json").read_text())
    assert json.loads(capsys.readouterr().out) == report
    assert report["times"] == 1
    for fault in ("killed", "frozen"):
        for measured in ("noticed_s", "back_s"):
            median, largest = report[fault][measured]
            assert 0 < median == largest
    # Before its time-out nobody can know that it is frozen.
    assert report["frozen"]["noticed_s"][0] >= SETTINGS.read_timeout_s


def test_it_is_told_how_often(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--times", "none"])
    assert "--times" in capsys.readouterr().err
