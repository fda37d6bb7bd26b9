"""Reading files of JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def json_lines(path: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The objects of a file, all of them whole; those of one ``type`` alone, if it is named."""
    text = path.read_text(encoding="utf-8")
    assert text == "" or text.endswith("\n")
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if kind is None or line["type"] == kind]
