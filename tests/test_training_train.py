"""``python -m training.train`` draws its curves however it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from streamer.errors import SourceError
from training import run, train
from training.run_config import TrainConfig
from training.step_log import append


class Failing:
    """Stands where a run does: fails, after some steps."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config

    def go(self) -> None:
        for step in range(1, self._config.steps):
            append(self._config.out / "losses.jsonl", {"step": step, "label": 1.0})
        raise SourceError("an image is damaged")


@pytest.mark.parametrize("steps", [1, 3])
def test_curves_are_drawn_where_a_run_fails_after_some_steps(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    steps: int,
) -> None:
    monkeypatch.setattr(run, "Run", Failing)
    assert train.main([f"--out={tmp_path}", f"--steps={steps}"]) == 1
    assert (tmp_path / "curves.png").exists() == (steps > 1)
    assert capsys.readouterr().err == "error: an image is damaged\n"


class Stopped(Failing):
    """The same, but told to end before its first step."""

    stopping = False

    def go(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        assert self.stopping


def test_a_run_that_is_stopped_before_its_first_step_has_no_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "Run", Stopped)
    assert train.main([f"--out={tmp_path}"]) == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr() == ("", "")
