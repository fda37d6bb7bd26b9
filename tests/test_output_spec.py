"""`streamer.sinks.output_spec`: what one `--output` asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.errors import ConfigError
from streamer.sinks.output_spec import OutputSpec


@pytest.mark.parametrize(
    ("text", "path", "kind", "style"),
    [
        ("a.mp4", "a.mp4", "video", None),
        ("out/A.M4V", "out/A.M4V", "video", None),
        ("binary=a.mp4", "a.mp4", "video", "binary"),
        ("side_by_side=a.gif", "a.gif", "preview", "side_by_side"),
        ("a.WebP", "a.WebP", "preview", None),
        ("masks/", "masks/", "images", None),
        ("odd.mp4/", "odd.mp4/", "images", None),
        ("tracks=/x/masks/", "/x/masks/", "images", "tracks"),
        ("classes=odd=name.mp4", "odd=name.mp4", "video", "classes"),
        ("./odd=name.mp4", "./odd=name.mp4", "video", None),
    ],
)
def test_what_is_asked_for(text: str, path: str, kind: str, style: str | None) -> None:
    spec = OutputSpec.parse(text)
    assert (spec.path, spec.kind, spec.style) == (path, kind, style)


def test_a_folder_that_is_there_needs_no_slash(tmp_path: Path) -> None:
    assert OutputSpec.parse(str(tmp_path)).kind == "images"
    with pytest.raises(ConfigError, match="or a folder with a slash at its end"):
        OutputSpec.parse(str(tmp_path / "other"))


@pytest.mark.parametrize(
    "text",
    [
        "neon=a.mp4",
        "Binary=a.mp4",
        "side-by-side=a.mp4",
        "cutout=a.mp4",
        "tracks=a.webp",
        "neon=a/",
    ],
)
def test_a_style_that_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"output is '{text}'; allowed styles here: overlay"):
        OutputSpec.parse(text)
