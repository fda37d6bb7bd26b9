"""`benchmarks.clip_memory`: the clip job's memory does not grow with the clip."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.clip_memory import main
from tests.processes import started
from tests.waits import PATIENCE_S, until


@pytest.mark.parametrize("wrong", ["--seconds=10", "--seconds=-1", "--limit_mib=nan"])
def test_wrong_arguments_are_refused(wrong: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([wrong])
    assert caught.value.code == 2


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            _, parent, *_ = stat.read_text().rpartition(")")[2].split()
            found += [int(stat.parent.name)] if int(parent) == pid else []
    return found


@pytest.mark.slow
def test_the_job_ends_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with started(sys.executable, "-m", "benchmarks.clip_memory") as run:
        until(lambda: any(tmp_path.glob("*/10s/frames/*.jpg")))  # the job is at work
        [job] = children(run.pid)
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 128 + signal.SIGTERM
    assert not Path(f"/proc/{job}").exists()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_longer_clip_needs_no_more(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    code = main(["--seconds", "35", "--limit_mib", "300", "--out", str(report)])
    short, long = json.loads(report.read_text())["runs"]
    assert (short["frames"], short["complete"]) == (250, True)
    assert (long["frames"], long["complete"]) == (875, True)
    # Frames that stay would take 1.6 GiB more, masks of the frame's size likewise.
    assert long["peak_rss_mib"] - short["peak_rss_mib"] < 300
    assert code == 0
