"""Logs of a run: a JSON object a line, with the ``step`` that it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from streamer.errors import SinkError
from streamer.sinks.output_path import write_whole


def append(log: Path, entry: Mapping[str, float]) -> None:
    """Add a line.

    Raises:
        SinkError: It cannot be written.
    """
    try:
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise SinkError(f"{log}: {error.strerror}") from error


def logged_steps(log: Path) -> set[int]:
    """The steps that there are lines about; none where there is no log."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return {json.loads(line)["step"] for line in lines}


def cut(log: Path, step: int) -> None:
    """Drop the lines about later steps, which are about to be written again.

    Raises:
        SinkError: It cannot be written.
    """
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        # A line that was being written when the run was killed has no end.
        whole = [line for line in lines if line.endswith("\n")]
        kept = [line for line in whole if json.loads(line)["step"] <= step]
        if kept != lines:
            write_whole(log, "".join(kept).encode())
