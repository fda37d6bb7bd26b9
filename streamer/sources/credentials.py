"""Credentials in URLs never reach a log, an error or a header."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from streamer.errors import ConfigError, SourceError

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


def shows_password(argument: str) -> bool:
    """Whether an argument holds a URL with a password, which every user of the machine can list."""
    return re.search(r"://[^/?#\s]*:[^/?#]*@", argument) is not None


def with_credentials(url: str, path: str) -> str:
    """A URL with the user and the password that a file holds, as ``user:password``.

    Args:
        url: Without any.
        path: A UTF-8 text file of one line.

    Raises:
        ConfigError: The URL is none, or has a user.
        SourceError: The file cannot be read, or is not of that form.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or "@" in re.split("[/?#]", rest, maxsplit=1)[0]:
        raise ConfigError(
            f"source.credentials: {hide_credentials(url)} is not a URL without a user, which is "
            "what they are for"
        )
    try:
        line = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"source.credentials: {path}: cannot be read: {error}") from error
    user, colon, password = line.partition(":")
    if not (user and colon) or "\n" in line:
        raise SourceError(f"source.credentials: {path}: expected one line, user:password")
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"
