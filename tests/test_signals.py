"""Signals that come early, or twice, or to a process that is to ignore them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamer.cli import main as stream
from streamer.dataset.command import main as segment
from streamer.signals import handled
from tests.processes import ROOT, STREAM, started

TWICE = """import os, signal
from streamer.signals import handled
with handled(lambda number: print("first", flush=True)):
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
print("it goes on")"""

IN_A_CONTAINER = ("unshare", "--user", "--map-root-user", "--pid", "--fork")
"""Runs a command as the first process of a container."""


@pytest.mark.parametrize(
    ("module", "main", "arguments"),
    [
        ("streamer.launch", stream, ["--quiet"]),
        (
            "streamer.dataset.launch",
            segment,
            ["--ann_path", "a", "--img_path", ".", "--save_path", "r"],
        ),
    ],
)
def test_a_signal_waits_until_the_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str,
    main: Callable[[list[str]], int], arguments: list[str],
) -> None:  # fmt: skip
    def load(_: object) -> object:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:  # as PyTorch does where it reads a tensor
            raise ValueError("could not determine the shape") from None
        return None

    (tmp_path / "a").write_text('{"videos": [{}]}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"{module}.load", load)
    monkeypatch.setattr("streamer.dataset.launch._refuse_bad", lambda *_: None)
    assert main(arguments) == 128 + signal.SIGTERM


@pytest.fixture
def hangup_ends() -> Iterator[None]:
    """Also where `nohup` runs the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangup_ends")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_pytorch_is_imported_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    slow = "import threading; print('importing', flush=True); threading.Event().wait()"
    (tmp_path / "torch.py").write_text(slow)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with started(*STREAM) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in said[1]


def test_the_second_ends_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWICE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "first\n")


def test_the_second_ends_the_first_process_of_a_container() -> None:
    try:
        subprocess.run([*IN_A_CONTAINER, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no process may be the first here")
    done = subprocess.run(
        [*IN_A_CONTAINER, sys.executable, "-c", TWICE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "first\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_so(number: signal.Signals) -> None:
    """As a shell starts a process in the background, or `nohup` does."""
    received: list[int] = []
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with handled(received.append):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)
    assert received == [signal.SIGTERM]


def test_an_inner_one_gives_back_to_the_outer() -> None:
    before = signal.getsignal(signal.SIGTERM)
    inner: list[int] = []
    outer: list[int] = []
    with handled(outer.append):
        with handled(inner.append):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert (inner, outer) == ([signal.SIGTERM], [signal.SIGTERM])
    assert signal.getsignal(signal.SIGTERM) == before
