"""Logs of a run: a JSON object a line, with the ``step`` that it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from streamer.errors import SourceError
from streamer.output_path import write_whole, writing


def append(log: Path, entry: Mapping[str, float]) -> None:
    """Add a line.

    Raises:
        SinkError: It cannot be written.
    """
    with writing(log), log.open("a", encoding="utf-8") as lines:
        lines.write(_line(entry))


def read_log(log: Path) -> list[dict[str, float]]:
    """The lines; none where there is no log.

    Raises:
        SourceError: It cannot be read, or a line is none of a log's.
    """
    if not log.exists():
        return []
    try:
        # A line that was being written when the run was killed has no end.
        *lines, _ = log.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{log}: cannot be read as text: {error}") from error
    return [_entry(line, f"{log}: line {number}") for number, line in enumerate(lines, start=1)]


def logged_steps(log: Path) -> set[float]:
    """The steps that there are lines about; none where there is no log.

    Raises:
        SourceError: See `read_log`.
    """
    return {entry["step"] for entry in read_log(log)}


def cut(log: Path, step: int) -> None:
    """Drop the lines about later steps, which are about to be written again.

    Raises:
        SourceError: See `read_log`.
        SinkError: It cannot be written.
    """
    if log.exists():
        kept = "".join(_line(entry) for entry in read_log(log) if entry["step"] <= step).encode()
        if kept != log.read_bytes():
            write_whole(log, kept)


def _line(entry: Mapping[str, float]) -> str:
    return json.dumps(entry) + "\n"


def _entry(line: str, name: str) -> dict[str, float]:
    try:
        entry: dict[str, float] = json.loads(line)
    except ValueError as error:
        raise SourceError(f"{name} is no JSON: {error}") from error
    is_entry = isinstance(entry, dict) and "step" in entry
    if not is_entry or not all(isinstance(value, (int, float)) for value in entry.values()):
        raise SourceError(f"{name} is {line!r:.60}, expected an object of numbers with a step")
    return entry
