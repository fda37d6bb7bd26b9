"""Credentials in URLs never reach a log, an error or a header."""

from __future__ import annotations

import re

_SECRET_WORDS = "pass|pwd|token|key|auth|secret|sig|user|usr|login|cred"


def hide_credentials(url: str) -> str:
    """A URL for messages: without user and password, secrets in the query replaced by ``***``.

    >>> hide_credentials("rtsp://me:secret@cam/1?token=abc&channel=2")
    'rtsp://cam/1?token=***&channel=2'
    """
    # greedy up to the last @ before the path: a password may hold an unescaped @
    url = re.sub(r"^([a-z][a-z0-9+.-]*://)[^/?#]*@", r"\1", url, flags=re.IGNORECASE)
    return re.sub(
        rf"([?&;][^=&;]*(?:{_SECRET_WORDS})[^=&;]*=)[^&;#]*", r"\1***", url, flags=re.IGNORECASE
    )
