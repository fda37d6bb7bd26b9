"""Names that a stream may have."""

from __future__ import annotations

from contextlib import suppress

from streamer.option_check import check
from streamer.wire.fields import MAX_TEXT


def check_stream_name(name: str) -> None:
    """Refuse a name that no message can bear.

    Raises:
        ConfigError: It is no text, is empty or too long, has a slash, or bytes of an argument that
            are no text.
    """
    holds = False
    with suppress(UnicodeEncodeError):
        is_short = isinstance(name, str) and 0 < len(name) <= MAX_TEXT
        holds = is_short and "/" not in name and bool(name.encode())
    check(holds, "stream", name, f"a name of up to {MAX_TEXT} characters, without a slash")
