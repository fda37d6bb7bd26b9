"""Reading a JSON file whole."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from streamer.errors import SourceError


def read_json(path: str | Path) -> tuple[Any, bytes]:
    """The content of a JSON file, and the bytes that it was read from.

    Raises:
        SourceError: It cannot be read, is not JSON, or is an object that has a key twice.
    """
    newest: list[tuple[str, Any]] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal newest
        newest = pairs
        return dict(pairs)

    try:
        data = Path(path).read_bytes()
        content = json.loads(data, object_pairs_hook=noted)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is not JSON: it is no text") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: is not JSON: {error}") from error
    if isinstance(content, dict) and len(newest) > len(content):  # the newest is what ends last
        [(key, count)] = Counter(key for key, _ in newest).most_common(1)
        raise SourceError(f"{path}: has the key {key!r:.50} {count} times, expected once")
    return content, data
