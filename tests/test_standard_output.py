"""What is printed reaches its reader, or nobody, without a complaint."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.standard_output import say_written
from tests.clips import frames_of, make_clip
from tests.json_lines import json_lines
from tests.processes import ROOT, STREAM

SCRIPT = "from streamer.standard_output import say; say('one'); say('two')"


def test_it_is_printed_line_by_line() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"one\ntwo\n", b"")


def test_a_file_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a\nb").mkdir()
    say_written([tmp_path / "a\nb"])
    say_written([tmp_path, *[Path("0.png")] * 3, Path("c\nd")])
    assert capsys.readouterr().out.splitlines() == [
        f"wrote '{tmp_path}/a\\nb/'",
        f"wrote {tmp_path} to 'c\\nd' (5 files)",
    ]


def test_a_reader_that_has_left_is_no_failure() -> None:
    left, right = os.pipe()
    os.close(left)
    try:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], stdout=right, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(right)
    assert (done.returncode, done.stderr) == (0, b"")


def test_letters_that_the_encoding_lacks_are_spelled(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    command = [*STREAM, "--help"]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=100, check=True)
    assert b"\\u2026" in done.stdout  # …
    assert done.stderr == b""


def run_without(closed: str, *command: str, folder: Path) -> None:
    """Run a command to its end, without an error, while a shell closes standard streams of it."""
    done = subprocess.run(
        f"{shlex.join(command)} {closed}",
        shell=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr


OPENS_A_FILE = """import sys
from streamer.standard_output import prepare_streams
prepare_streams()
with open("out", "w") as out:
    said = sys.stdout.write("a"), sys.stderr.write("b"), sys.stdin.read()
    sys.stdout.flush(), sys.stderr.flush()
    out.write(f"{said} {out.fileno() > 2}")
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_what_is_said_without_a_standard_stream_is_in_no_file(tmp_path: Path, closed: str) -> None:
    run_without(closed, sys.executable, "-c", OPENS_A_FILE, folder=tmp_path)
    assert (tmp_path / "out").read_text() == "(1, 1, '') True"


def test_a_process_without_standard_streams_runs_and_spoils_no_file(
    tmp_path: Path, weights: str
) -> None:
    make_clip(tmp_path / "in.mp4", frames=7)
    arguments = ["in.mp4", "--weights", weights, "--output", "out.mp4", "--results", "r.json"]
    run_without("<&- >&- 2>&-", *STREAM, *arguments, folder=tmp_path)
    assert len(frames_of(tmp_path / "out.mp4")) == 7
    kinds = [line["type"] for line in json_lines(tmp_path / "r.jsonl")]
    assert kinds == ["video", *["frame"] * 7, "end"]


def test_a_full_disk_is_a_warning() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (
        0,
        b"nothing can be printed: No space left on device\n",
    )
