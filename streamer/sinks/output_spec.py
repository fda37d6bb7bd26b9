"""What one ``output`` asks for: a video, a preview or a folder of images, and in which style."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from streamer.errors import ConfigError
from streamer.option_check import check

PictureStyle = Literal["overlay", "side_by_side", "instances", "classes", "binary", "frame"]
"""How a finished frame can be shown as one opaque picture."""

ImageStyle = Literal[PictureStyle, "cutout", "tracks"]
"""What an image folder can hold besides: pictures with transparency, a mask per object."""

OutputKind = Literal["video", "preview", "images"]

SUFFIXES: dict[str, OutputKind] = {
    ".mp4": "video",
    ".m4v": "video",
    ".gif": "preview",
    ".webp": "preview",
}

NO_JSON = frozenset(
    {*SUFFIXES, ".avi", ".mkv", ".mov", ".webm"}
    | {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff"}
)
"""Endings, in lower case, of videos and images, which JSON is not written over."""


def check_json_file(name: str, path: str) -> None:
    """Refuse a video's or an image's name as that of a JSON file: another option's was meant.

    Raises:
        ConfigError: It is one; the message begins with `name`, the option's.
    """
    is_other = Path(path).suffix.lower() in NO_JSON
    check(not is_other, name, path, "a JSON file, such as r.json")


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """A parsed ``output``.

    Attributes:
        path: The file, or the folder of images.
        kind: What is written there.
        style: How frames are shown.
    """

    path: str
    kind: OutputKind
    style: ImageStyle

    @classmethod
    def parse(cls, text: str, defaults: Mapping[OutputKind, ImageStyle]) -> OutputSpec:
        """Read ``[STYLE=]PATH``; looks at the file system for folders, opens nothing.

        Args:
            text: As the user gave it.
            defaults: The style of each kind where none is given.

        Raises:
            ConfigError: The style is unknown or does not fit, or the path names no kind of output.
        """
        prefix = re.match(r"([^/=]*)=(.+)", text, re.DOTALL)
        style, path = (prefix[1], prefix[2]) if prefix else (None, text)
        is_folder = path.endswith("/") or _is_dir(path)
        kind: OutputKind | None = "images" if is_folder else SUFFIXES.get(Path(path).suffix.lower())
        if kind is None:
            raise ConfigError(
                f"output is {text!r}; allowed: a file name with {', '.join(SUFFIXES)}, or a "
                "folder with a slash at its end"
            )
        known = get_args(ImageStyle if kind == "images" else PictureStyle)
        if style is not None and style not in known:
            raise ConfigError(
                f"output is {text!r}; allowed styles here: {', '.join(known)} "
                "(a path that holds = begins with ./)"
            )
        return cls(path, kind, cast("ImageStyle | None", style) or defaults[kind])

    @property
    def picture_style(self) -> PictureStyle:
        """The style of a video or a preview."""
        return cast(PictureStyle, self.style)


def _is_dir(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:  # too long a name, or not to be looked at: said when it is to be written
        return False
