"""`benchmarks.clip_memory`: the clip job's memory does not grow with the clip."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.clip_memory import main


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_longer_clip_needs_no_more(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    code = main(["--seconds", "35", "--limit_mib", "300", "--json", str(report)])
    short, long = json.loads(report.read_text())["runs"]
    assert (short["frames"], short["complete"]) == (250, True)
    assert (long["frames"], long["complete"]) == (875, True)
    # Frames that stay would take 1.6 GiB more, masks of the frame's size likewise.
    assert long["peak_rss_mib"] - short["peak_rss_mib"] < 300
    assert code == 0
