"""``--log json``: every line that a machine reads is an object."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from streamer.json_log import JsonFormatter
from tests.clips import make_clip
from tests.processes import STREAM


def run(*arguments: str) -> tuple[int, list[dict[str, str]]]:
    command = [*STREAM, *arguments, "--log", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()]


def test_a_run_writes_nothing_else_to_standard_error(tmp_path: Path, weights: str) -> None:
    make_clip(tmp_path / "clip.mp4", frames=7)
    code, lines = run(str(tmp_path / "clip.mp4"), "--weights", weights)
    assert code == 0
    assert any("network on cpu" in line["message"] for line in lines)
    assert {line["level"] for line in lines} <= {"info", "warning"}
    assert all(line["logger"].startswith("streamer.") for line in lines)
    written = datetime.fromisoformat(lines[0]["time"])
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=10)


def test_a_wrong_argument_is_an_object_too() -> None:
    code, lines = run("--strid", "7")
    assert code == 2
    assert [line["level"] for line in lines] == ["error"]
    assert "--strid" in lines[0]["message"]


def test_an_error_is_an_object_too(tmp_path: Path) -> None:
    code, lines = run(str(tmp_path / "nothing.mp4"))
    assert code == 1
    assert lines[-1]["level"] == "error"
    assert "nothing.mp4" in lines[-1]["message"]


def test_line_breaks_and_exceptions_stay_in_their_line() -> None:
    try:
        raise ValueError("über\nzwei Zeilen")
    except ValueError:
        info = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "a\n%s", ("b",), info)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert text.isascii()  # as it may be written in any encoding
    fields = json.loads(text)
    assert fields["message"] == "a\nb"
    assert fields["exception"].endswith("über\nzwei Zeilen")
