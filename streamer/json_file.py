"""Reading a JSON file whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streamer.errors import SourceError


def count_ids(entries: Iterable[object]) -> Counter[str]:
    """How many objects of a list have each ``id``, by how Python writes it."""
    return Counter(repr(entry.get("id")) for entry in entries if isinstance(entry, dict))


def read_json(path: str | Path) -> tuple[Any, bytes]:
    """The content of a JSON file, and the bytes that it was read from.

    Raises:
        SourceError: It cannot be read, or is not JSON.
    """
    try:
        data = Path(path).read_bytes()
        return json.loads(data), data
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: is not JSON: {error}") from error
