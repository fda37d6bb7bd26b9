"""`python -m streamer.demo` where it goes wrong; that it goes right, `make demo` shows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from streamer import cli, demo
from tests.waits import PATIENCE_S


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """The processes that the demo starts, which wait for ever here instead of for a stream."""
    started = []
    popen = subprocess.Popen

    def start(_: object, **options: object) -> subprocess.Popen[str]:
        forever = "import threading; threading.Event().wait()"
        started.append(popen([sys.executable, "-c", forever], **options))  # type: ignore[call-overload]
        return started[-1]

    # The demo's own alone: loading PyTorch starts processes, too.
    names = SimpleNamespace(Popen=start, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(demo, "subprocess", names)
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


def test_the_reader_starts_once_what_takes_long_is_loaded(tmp_path: Path) -> None:
    program = """
import sys, types
from importlib.machinery import ModuleSpec
from streamer import demo

# In place of the stream, whose import takes seconds.
class Stub:
    def find_spec(self, name, *_):
        return ModuleSpec(name, self) if name == "streamer.launch" else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Stub())

def start(*_, **__):
    sys.exit(3 if "streamer.launch" in sys.modules else 4)

demo.subprocess = types.SimpleNamespace(Popen=start)
demo.main(sys.argv[1:])
"""
    command = [sys.executable, "-c", program, str(tmp_path / "demo")]
    ran = subprocess.run(command, timeout=PATIENCE_S, check=False)
    assert ran.returncode == 3
