"""Ctrl-C and SIGTERM end each command of training in its exit code, wherever it comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import ROOT, started
from training import compose, evaluate, fetch, train


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("place", "main", "arguments"),
    [
        ("training.run.Run", train.main, ["--out={}/run"]),
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "arguments",
    [("training.train", "--out={}/run"), ("training.ship", "{}/a.pt", "{}/b.safetensors")],
)
def test_an_interruption_while_pytorch_is_imported(
    arguments: tuple[str, ...],
    number: signal.Signals,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = "import threading; print('importing', flush=True); threading.Event().wait()"
    (tmp_path / "torch.py").write_text(slow)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    words = [word.format(tmp_path) for word in arguments]
    with started(sys.executable, "-m", *words) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert said == ("", "")


@pytest.mark.parametrize("arguments", ["training.train", "training.ship a.pt b.safetensors"])
def test_an_installation_without_pytorch_is_told_what_is_missing(arguments: str) -> None:
    code = (
        f"import runpy, sys; sys.modules['torch'] = None; sys.argv = {arguments.split()}; "
        "runpy.run_module(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    message = "error: torch is not installed; training needs `pip install -e '.[train]'`\n"
    assert (done.returncode, done.stderr) == (1, message)
