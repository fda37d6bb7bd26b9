"""What the SOURCE argument means, before anything is opened."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
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

_SUFFIXES = ", ".join(sorted(IMAGE_SUFFIXES))

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
        awaited: Whether it may come to be there only later (``source.wait``).
    """

    kind: Kind
    target: str
    name: str
    live: bool | None
    awaited: bool = False

    @classmethod
    def parse(cls, spec: str, config: SourceConfig) -> SourceSpec:
        """Tell the kinds apart; looks at the file system, but opens only a PNG, which may move.

        Raises:
            ConfigError: There are credentials, but no URL that lacks them, or settings of a webcam
                or of images for something else.
            SourceError: The file with the credentials cannot be read, or is none.
        """
        spec = re.sub(r"^[a-z][a-z0-9+.-]*://", _in_lower_case, spec, flags=re.IGNORECASE)
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
            return cls(kind, target, name, None, config.wait)
        live = live or (kind == "url" and config.live is True)
        return cls(kind, target, name, live, live and config.wait)

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
        """Look whether a file, folder or webcam is there, may be read, and is not empty.

        Other kinds show when they are opened, and so does what is waited for.

        Raises:
            SourceError: It is not, or may not.
        """
        path = Path(self.target) if self.kind == "webcam" else self.local_path
        if path is None or self.awaited:
            return
        try:
            self._check_place(path)
        except OSError as error:  # a name too long, a folder that may not be entered
            raise SourceError(f"{self.name}: {error.strerror}") from error

    def _check_place(self, path: Path) -> None:
        is_there = path.exists()
        if self.kind != "images" and not is_there:
            kind = "device" if self.kind == "webcam" else "file"
            raise SourceError(f"{self.name}: no such {kind}{_hint(self.target)}")
        place = path if is_there else path.parent  # the folder of a pattern
        needed = os.R_OK | (os.X_OK if place.is_dir() else 0)
        if place.exists() and not os.access(place, needed):
            raise SourceError(f"{self.name}: {os.strerror(errno.EACCES)}")
        if is_empty(path):
            raise SourceError(f"{self.name}: is empty")
        if self.kind == "images":
            next(find_images(path, self.name))

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


def _in_lower_case(match: re.Match[str]) -> str:
    return match[0].lower()  # FFmpeg knows its protocols by no other


def _scheme(spec: str) -> str | None:
    match = re.match(r"([a-z][a-z0-9+.-]*)://", spec)
    return match[1] if match else None


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


def _hint(spec: str) -> str:
    """What to say of something missing that may be meant as a URL."""
    is_like = re.match(r"(?!file:)[a-z][a-z0-9+.-]*:/|[^/:]+:\d+(/|$)", spec, re.IGNORECASE)
    return "; a URL begins with its protocol, such as rtsp:// or http://" if is_like else ""


def is_empty(path: Path) -> bool:
    """Whether a file holds nothing; some file systems give no size of what holds something."""
    with suppress(OSError):  # which shows when it is opened
        if path.is_file() and not path.stat().st_size:
            with path.open("rb") as file:
                return not file.read(1)
    return False


def find_images(path: Path, name: str) -> Iterator[Path]:
    """The image files that a folder, pattern or path stands for, in any order.

    Raises:
        SourceError: There are none.
        OSError: The folder may not be read.
    """
    is_wanted: Callable[[str], object] = _is_image
    if path.is_dir():
        folder, missing = path, f"a folder without images; known endings: {_SUFFIXES}"
    elif path.is_file() or not is_pattern(str(path)):
        yield path
        return
    else:
        folder, is_wanted, missing = path.parent, _numbered(path), "no file matches this pattern"
    names = folder.iterdir() if folder.is_dir() else iter(())
    found = (file for file in names if is_wanted(file.name) and not _is_other_kind(file))
    first = next(found, None)
    if first is None:
        raise SourceError(f"{name}: {missing}")
    yield first
    yield from found


def _is_other_kind(file: Path) -> bool:
    """Whether it is a folder, or what may not be opened, such as a FIFO.

    What cannot be looked at, as behind a link to nothing, is told when it is read.
    """
    try:
        return not stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return False


def _is_image(name: str) -> bool:
    """By its ending; what begins with a dot is another system's, as a Mac's ``._1.png``."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")


def _numbered(pattern: Path) -> Callable[[str], object]:
    """What tells the names that a pattern means."""
    names = re.sub(r"%0?(\d*)d", _digits, re.escape(pattern.name), count=1)
    return re.compile(names).fullmatch


def _digits(match: re.Match[str]) -> str:
    return rf"\d{{{match[1]},}}" if match[1] else r"\d+"
