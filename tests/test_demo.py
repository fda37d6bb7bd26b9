"""`python -m streamer.demo` where it goes wrong; that it goes right, `make demo` shows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from streamer import cli, demo


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """The processes that the demo starts, which wait for ever here instead of for a stream."""
    started = []
    popen = subprocess.Popen

    def start(_: object, **options: object) -> subprocess.Popen[str]:
        forever = "import threading; threading.Event().wait()"
        started.append(popen([sys.executable, "-c", forever], **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(demo.subprocess, "Popen", start)
    return started


@pytest.mark.parametrize(("stream", "code"), [(2, 2), (0, 1)])
def test_no_reader_outlives_it(
    stream: int,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    readers: list[subprocess.Popen[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: list[str] = []

    def run(arguments: Sequence[str]) -> int:
        given.extend(arguments)
        return stream

    monkeypatch.setattr(cli, "main", run)
    monkeypatch.setattr(demo, "READER_S", 0.1)
    assert demo.main([str(tmp_path / "a" / "demo")]) == code
    assert str(tmp_path / "a" / "demo" / "masks.mp4") in given
    (reader,) = readers
    assert reader.poll() is not None
    told = "error: the subscriber did not end within 0.1 s\n"
    assert capsys.readouterr().err == ("" if stream else told)


def test_no_reader_outlives_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readers: list[subprocess.Popen[str]]
) -> None:
    def run(_: Sequence[str]) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return 0

    monkeypatch.setattr(cli, "main", run)
    monkeypatch.setattr(demo, "READER_S", 0.1)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        assert demo.main([str(tmp_path / "demo")]) == 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)
    (reader,) = readers
    assert reader.poll() is not None


def test_a_folder_that_is_a_file_is_said_before_anything_starts(
    tmp_path: Path, readers: list[subprocess.Popen[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo").write_text("")
    assert demo.main([str(tmp_path / "demo")]) == 1
    assert capsys.readouterr().err == (
        f"error: cannot make the folder {tmp_path}/demo: File exists\n"
    )
    assert readers == []
