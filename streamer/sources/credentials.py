"""Credentials in URLs never reach a log, an error or a header."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from streamer.errors import ConfigError, SourceError
from streamer.printable import printable

_SECRET_WORDS = "pass|pwd|token|key|auth|secret|sig|user|usr|login|cred"

_PATH_VALUE = r"[^/?#&;]*?(?=_[a-z]+=|[/?#&;]|$)"
"""Of a setting in a path, as some cameras have them: ``/user=me_password=x_channel=1``."""


def hide_credentials(url: str) -> str:
    """A URL for messages: without user and password, secrets in the query replaced by ``***``.

    >>> hide_credentials("rtsp://me:secret@cam/1?token=abc&channel=2")
    'rtsp://cam/1?token=***&channel=2'
    """
    for before, value in ((r"[?&;][^=&;]*", r"[^&;#]*"), (r"[/_][^=&;/?#_]*", _PATH_VALUE)):
        secret = rf"({before}(?:{_SECRET_WORDS})[^=&;/?#_]*=){value}"
        url = re.sub(secret, r"\1***", url, flags=re.IGNORECASE)
    # Greedy up to the last @: a password may hold an unescaped one, and after a colon even a /.
    pattern = r"^([a-z][a-z0-9+.-]*://)([^/?#]*:.*@|[^/?#]*@)"
    return re.sub(pattern, _without_user, url, flags=re.IGNORECASE)


def hide_all_credentials(text: str) -> str:
    """The same for every URL in a text.

    >>> hide_all_credentials("unrecognized arguments: rtsp://me:secret@cam/1 --fast")
    'unrecognized arguments: rtsp://cam/1 --fast'
    """
    url = r"[a-z][a-z0-9+.-]*://[^\s'\"]+"
    return re.sub(url, lambda found: hide_credentials(found[0]), text, flags=re.IGNORECASE)


def _without_user(match: re.Match[str]) -> str:
    scheme, user = match.groups()
    # It may also be a path with an @, after a port: something is seen to be missing.
    return f"{scheme}***@" if re.search("[/?#]", user) else scheme


def shows_password(argument: str) -> bool:
    """Whether an argument holds a URL with a password, which every user of the machine can list."""
    in_query = r"://\S*(?:pass|pwd)[^=&;/?#_]*=[^&;#/_]"
    return re.search(rf"://[^/?#\s]*:[^/?#]*@|{in_query}", argument, re.IGNORECASE) is not None


def with_credentials(url: str, path: str) -> str:
    """A URL with the user and the password that a file holds, as ``user:password``.

    Args:
        url: Without any.
        path: A UTF-8 text file of one line.

    Raises:
        ConfigError: `url` is not a URL, or has a user.
        SourceError: The file cannot be read, or is not of that form.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or "@" in re.split("[/?#]", rest, maxsplit=1)[0]:
        raise ConfigError(
            f"source.credentials is given, and the source is {printable(hide_credentials(url))}; "
            "allowed: only with a URL that names no user itself"
        )
    try:
        line = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"source.credentials: {path}: cannot be read: {error}") from error
    user, colon, password = line.partition(":")
    if not (user and colon) or "\n" in line:
        raise SourceError(f"source.credentials: {path}: expected one line, user:password")
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"
