"""Ctrl-C and SIGTERM end each command of training in its exit code, wherever it comes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from training import compose, evaluate, fetch, train


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("place", "main", "arguments"),
    [
        ("training.train.Run", train.main, ["--out={}/run"]),
        ("training.evaluate._run", evaluate.main, ["--out={}/evaluation"]),
        ("training.fetch.fetch", fetch.main, ["{}/assets"]),
        ("training.compose.load_library", compose.main, ["{}/clips"]),
    ],
)
def test_an_interruption_before_there_is_anything_to_keep(
    place: str,
    main: Callable[[list[str]], int],
    arguments: list[str],
    number: signal.Signals,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(place, interrupted)
    before = signal.getsignal(number)
    assert main([each.format(tmp_path) for each in arguments]) == 128 + number
    assert signal.getsignal(number) is before
