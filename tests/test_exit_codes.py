"""How commands end: errors and signals become exit codes, and nothing else is printed."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from streamer.errors import ConfigError, SourceError
from streamer.exit_codes import command, describe
from streamer.ring_buffer import RingBuffer
from tests.processes import ROOT, STREAM


def test_a_main_function_gets_its_arguments_and_gives_its_own_exit_code() -> None:
    @command
    def main(arguments: Sequence[str] | None = None) -> int:
        return 0 if arguments is None else len(arguments)

    assert (main(), main(["a", "b"])) == (0, 2)


@pytest.mark.parametrize(
    ("error", "code"),
    [(SourceError("a.mp4: no such file"), 1), (ConfigError("x is 3; allowed: 4"), 2)],
)
def test_an_error_is_one_line_with_its_exit_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    @command
    def main(arguments: Sequence[str] | None = None) -> int:
        raise error

    assert main() == code
    assert capsys.readouterr() == ("", f"error: {error}\n")


def test_a_defect_is_one_line_that_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    @command
    def main(arguments: Sequence[str] | None = None) -> int:
        RingBuffer[int](0)
        return 0

    assert main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"error: ValueError: capacity .* \(streamer/ring_buffer\.py:\d+\)\n", err)


@pytest.mark.parametrize(
    ("error", "text"), [(MemoryError(), "MemoryError"), (ValueError("a\n  b"), "ValueError: a b")]
)
def test_an_error_of_many_lines_or_none_is_one_line(error: Exception, text: str) -> None:
    assert describe(error).startswith(text)
    assert "\n" not in describe(error)


def test_an_error_shows_no_credentials() -> None:
    assert describe(ValueError("busy: rtsp://me:secret@cam/1")).startswith(
        "ValueError: busy: rtsp://cam/1"
    )


def test_the_development_mode_of_python_shows_where_an_error_came_from(tmp_path: Path) -> None:
    command = (*PYTHON, "-X", "dev", "-m", "streamer.results", "no.jsonl", "r.json")
    code, complaint = run(tmp_path, command, subprocess.DEVNULL, {})
    assert code == 1
    assert complaint[0].startswith("error: no.jsonl")
    assert complaint[1] == "Traceback (most recent call last):"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_files_be_closed_and_is_told_by_the_exit_code(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = []
    before = signal.getsignal(number)

    @command
    def main(arguments: Sequence[str] | None = None) -> int:
        try:
            os.kill(os.getpid(), number)
            signal.sigtimedwait([], 10)  # cut short by the signal's handler
        finally:
            closed.append(True)
        return 0

    assert main() == 128 + number
    assert closed
    assert capsys.readouterr() == ("", "")
    assert signal.getsignal(number) is before


def test_what_the_system_refuses_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    @command
    def main(arguments: Sequence[str] | None = None) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert main() == 1
    assert capsys.readouterr() == ("", f"error: [Errno {errno.ENOSPC}] No space left on device\n")


PRINTS = """import sys
from streamer.exit_codes import command
@command
def main(arguments):
    print("some text")
    return 0
sys.exit(main())"""

LINE = '{"type":"video","schema":"vistr-results","version":1,"video_id":1,"size":[1,1]}'


@pytest.fixture(params=["buffered", "unbuffered"])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    unbuffered = {"PYTHONUNBUFFERED": "1"} if request.param == "unbuffered" else {}
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | unbuffered


@pytest.fixture
def full() -> Iterator[int]:
    """A standard output that takes nothing."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def unread() -> Iterator[int]:
    """A standard output whose reader has left."""
    reader, descriptor = os.pipe()
    os.close(reader)
    yield descriptor
    os.close(descriptor)


def run(
    folder: Path, command: Sequence[str], output: int, environment: dict[str, str]
) -> tuple[int, list[str]]:
    """The exit code of a command, and what it complains of."""
    (folder / "r.jsonl").write_text(LINE)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


PYTHON = (sys.executable,)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ((*STREAM, "--bogus"), 2),
        ((*PYTHON, "-m", "streamer.results", "r.jsonl", "r.jsonl"), 2),
    ],
)
def test_the_exit_code_stays_where_the_error_cannot_be_printed(
    tmp_path: Path, full: int, command: Sequence[str], code: int
) -> None:
    (tmp_path / "r.jsonl").write_text(LINE)
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=full,
        timeout=100,
        check=False,
    )
    assert done.returncode == code


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ((*PYTHON, "-c", PRINTS), 1),
        ((*STREAM, "--print_config"), 1),
        # What they are for is in files: that it cannot be told is no failure.
        ((*PYTHON, "-m", "streamer.results", "r.jsonl", "r.json"), 0),
        ((*PYTHON, "-m", "streamer.keys", "keys", "camera"), 0),
    ],
)
def test_a_full_disk_is_one_line(
    tmp_path: Path, full: int, environment: dict[str, str], command: Sequence[str], code: int
) -> None:
    ended, (line,) = run(tmp_path, command, full, environment)
    assert ended == code
    assert line.endswith("No space left on device")


@pytest.mark.parametrize(
    "command",
    [
        (*STREAM, "--help"),
        (*STREAM, "--print_config"),
        (*PYTHON, "-m", "streamer.results", "r.jsonl", "r.json"),
        (*PYTHON, "-m", "streamer.keys", "keys", "camera"),
    ],
)
def test_a_reader_that_has_left_is_no_failure(
    tmp_path: Path, unread: int, environment: dict[str, str], command: Sequence[str]
) -> None:
    assert run(tmp_path, command, unread, environment) == (0, [])
