"""FFmpeg's errors in plain words."""

from __future__ import annotations

import socket
from errno import EIO
from urllib.parse import urlsplit

import av

from streamer.errors import SourceError
from streamer.source_config import SourceConfig
from streamer.sources.credentials import shows_password
from streamer.sources.source_spec import SourceSpec

_REASONS: tuple[tuple[type[av.FFmpegError] | tuple[type[av.FFmpegError], ...], str], ...] = (
    ((av.ExitError, av.TimeoutError), "no answer in time"),
    (av.InvalidDataError, "not a video that can be read"),
    (av.EOFError, "ends before the video begins"),
    (av.FileNotFoundError, "no such file or device"),
)
"""What FFmpeg's errors mean; those of others in its own words."""


def translate(
    spec: SourceSpec, config: SourceConfig, error: av.FFmpegError, *, is_open: bool = False
) -> SourceError:
    """FFmpeg's error in one line; takes the URL, which may hold credentials, out of `error`."""
    error.args = error.args[:2]
    known = (text for kinds, text in _REASONS if isinstance(error, kinds))
    text = _network_reason(spec, config, error, is_open=is_open) or next(known, error.strerror)
    text = text or type(error).__name__
    if not is_open and config.format is None:
        if spec.kind == "stdin":
            text += " (it is read as MPEG-TS; source.format says otherwise)"
        elif spec.kind == "file" and isinstance(error, av.ArgumentError):
            text = "cannot be opened as a video (a list of files needs source.format concat)"
    return SourceError(f"{spec.name}: {text}")


def _network_reason(
    spec: SourceSpec, config: SourceConfig, error: av.FFmpegError, *, is_open: bool
) -> str | None:
    """What an error means if it comes from a network, and there alone."""
    if isinstance(error, av.HTTPUnauthorizedError):
        known = config.credentials is not None or shows_password(spec.target)
        text = "401, wrong user or password" if known else "401, it asks for a user and a password"
        return f"{text} (source.credentials)"
    is_invalid = isinstance(error, av.InvalidDataError)
    if spec.kind == "url" and isinstance(error, av.ProtocolNotFoundError):
        return f"FFmpeg knows no protocol {_scheme(spec)}"
    if spec.kind != "url" or not (is_invalid or error.errno == EIO):
        return None
    if is_open:
        broken = "the connection broke off, or no answer in time"
        return "something came that is not video" if is_invalid else broken
    return _opening_reason(spec, config, is_invalid=is_invalid)


def _opening_reason(spec: SourceSpec, config: SourceConfig, *, is_invalid: bool) -> str:
    """Why a network source does not open, by FFmpeg's words for whatever it did not expect."""
    is_page = _scheme(spec) in {"http", "https"} and spec.live is not None  # no playlist
    if is_page and is_invalid:
        return "not a video (a web page?)"
    if config.tls_ca is not None:  # only then it looks at certificates
        return "no answer in time, no certificate to be trusted (source.tls_ca), or not a video"
    if not is_invalid and (host := _unknown_host(spec.target)):
        return f"no host {host} is known"
    if not is_page:  # FFmpeg says either after an RTSP or UDP time-out, too
        return "no answer in time, or not a video"
    first = "no TLS is spoken there" if _scheme(spec) == "https" else "not a video (a web page?)"
    return f"{first}, or the connection broke off"


def _scheme(spec: SourceSpec) -> str:
    return spec.target.partition(":")[0]


def _unknown_host(url: str) -> str | None:
    """The host of a URL that no name server knows now."""
    try:
        host = urlsplit(url).hostname
        socket.getaddrinfo(host, None)
    except (socket.gaierror, UnicodeError):
        return host
    except ValueError:  # not a valid address
        return None
    return None
