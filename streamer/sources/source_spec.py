"""What the SOURCE argument means, before anything is opened."""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from streamer.errors import SourceError
from streamer.option_check import check
from streamer.printable import printable
from streamer.source_config import SourceConfig
from streamer.sources.animated_images import is_animated_png
from streamer.sources.credentials import hide_credentials, with_credentials

Kind = Literal["file", "url", "webcam", "images", "lavfi", "stdin"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""Endings, in lower case, of the files that an image folder may hold."""

LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "udp", "tcp", "rtp", "srt"})
"""URL schemes whose data comes as it happens."""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A parsed SOURCE.

    Attributes:
        kind: ``file``, ``url``, ``webcam``, ``images`` (a folder, a pattern or one image),
            ``lavfi`` (a filter graph that makes pictures) or ``stdin``.
        target: What to open: a path, URL, device, pattern or graph. May hold credentials, but not
            those of a file (``source.credentials``).
        name: The same for messages, without credentials, in one line.
        live: Whether its data comes as it happens; None for a playlist, which says so itself. Of
            other URLs the user knows (``source.live``).
    """

    kind: Kind
    target: str
    name: str
    live: bool | None

    @classmethod
    def parse(cls, spec: str, config: SourceConfig) -> SourceSpec:
        """Tell the kinds apart; looks at the file system, but opens only a PNG, which may move.

        Raises:
            ConfigError: There are credentials, but no URL that lacks them, or settings of a webcam
                or of images for something else.
            SourceError: The file with the credentials cannot be read, or is none.
        """
        kind = _kind(spec, config)
        for name in ("webcam_size", "webcam_fps", "webcam_format"):
            value = getattr(config, name)
            fits = kind == "webcam" or value is None
            check(fits, f"source.{name}", value, "nothing where the source is no webcam")
        # What is missing may be meant to be a folder, and is missed later.
        is_missing = kind == "file" and not os.path.lexists(spec.removeprefix("file:"))
        fits = kind == "images" or is_missing or config.fps == SourceConfig.fps
        allowed = "nothing unless the source is a still image, or a folder or pattern of images"
        check(fits, "source.fps", config.fps, allowed)
        target, live = spec, False
        if kind == "lavfi":
            target = spec.removeprefix("lavfi:")
        elif kind == "images":
            target = spec.removeprefix("file:")
        elif kind == "webcam":
            target, live = f"/dev/video{spec}" if spec.isdigit() else spec, True
        elif kind == "url":
            live = _scheme(spec) in LIVE_SCHEMES
        if config.credentials is not None:
            with_credentials(target, config.credentials)  # only to refuse them early
        shown = target if kind == "webcam" else spec
        name = "standard input" if kind == "stdin" else printable(hide_credentials(shown))
        if kind in {"file", "url"} and not live and _is_playlist(spec, config):
            return cls(kind, target, name, None)
        return cls(kind, target, name, live or (kind == "url" and config.live is True))

    @property
    def local_path(self) -> Path | None:
        """The file or folder, also that of a ``file:`` URL; None for other kinds."""
        is_local = self.kind in {"file", "images"}
        return Path(self.target.removeprefix("file:")) if is_local else None

    @property
    def flows_by(self) -> bool:
        """Whether it can be read only once, and not from its middle, as a pipe.

        Looks at the file system: a pipe may be given by a path, such as ``/dev/stdin``.
        """
        if self.local_path is None:
            return self.kind == "stdin"
        try:
            mode = self.local_path.stat().st_mode
        except (OSError, ValueError):  # what it is shows when it is opened
            return False
        return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)

    def check_exists(self) -> None:
        """Look whether a file or folder is there and may be read; other kinds show when opened.

        Raises:
            SourceError: It is not, or may not.
        """
        path = self.local_path
        if path is None:
            return
        try:
            is_there = path.exists()
            place = path if is_there else path.parent  # the folder of a pattern
            needed = os.R_OK | (os.X_OK if place.is_dir() else 0)
        except OSError as error:  # a name too long, a folder that may not be entered
            raise SourceError(f"{self.name}: {error.strerror}") from error
        if self.kind == "file" and not is_there:
            raise SourceError(f"{self.name}: no such file")
        if place.exists() and not os.access(place, needed):
            raise SourceError(f"{self.name}: {os.strerror(errno.EACCES)}")

    def __repr__(self) -> str:
        return f"SourceSpec({self.kind}, {self.name!r}, live={self.live})"


def _kind(spec: str, config: SourceConfig) -> Kind:
    if spec == "-":
        return "stdin"
    if spec.startswith("lavfi:") or config.format == "lavfi":
        return "lavfi"
    is_device = re.fullmatch(r"/dev/video[0-9]+|/dev/v4l/.+|[0-9]+", spec) is not None
    if is_device or config.format in {"v4l2", "video4linux2"}:
        return "webcam"
    if _scheme(spec) not in {None, "file"}:
        return "url"
    return "images" if _is_images(spec.removeprefix("file:")) else "file"


def _scheme(spec: str) -> str | None:
    match = re.match(r"([a-z][a-z0-9+.-]*)://", spec, re.IGNORECASE)
    return match[1].lower() if match else None


def _is_playlist(spec: str, config: SourceConfig) -> bool:
    path = urlsplit(spec).path if _scheme(spec) else spec
    return config.format == "hls" or path.lower().endswith(".m3u8")


def _is_images(spec: str) -> bool:
    path = Path(spec)
    is_image = path.suffix.lower() in IMAGE_SUFFIXES
    try:
        if is_image and path.is_file() and not is_pattern(spec):
            return not is_animated_png(path)
        return path.is_dir() or (is_image and is_pattern(spec))
    except OSError:  # what is wrong with it shows when it is looked for
        return False


def is_pattern(spec: str) -> bool:
    """Whether a path counts files, as ``frames/%04d.png`` does."""
    return re.search(r"%0?\d*d", Path(spec).name) is not None
