"""`streamer.sinks.output_spec`: what one `--output` asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.errors import ConfigError
from streamer.sinks.output_spec import ImageStyle, OutputKind, OutputSpec

DEFAULTS: dict[OutputKind, ImageStyle] = {
    "video": "overlay",
    "preview": "frame",
    "images": "binary",
}


@pytest.mark.parametrize(
    ("text", "path", "kind", "style"),
    [
        ("a.mp4", "a.mp4", "video", "overlay"),
        ("out/A.M4V", "out/A.M4V", "video", "overlay"),
        ("binary=a.mp4", "a.mp4", "video", "binary"),
        ("side_by_side=a.gif", "a.gif", "preview", "side_by_side"),
        ("a.WebP", "a.WebP", "preview", "frame"),
        ("masks/", "masks/", "images", "binary"),
        ("odd.mp4/", "odd.mp4/", "images", "binary"),
        ("tracks=/x/masks/", "/x/masks/", "images", "tracks"),
        ("classes=odd=name.mp4", "odd=name.mp4", "video", "classes"),
        ("./odd=name.mp4", "./odd=name.mp4", "video", "overlay"),
    ],
)
def test_what_is_asked_for(text: str, path: str, kind: str, style: str) -> None:
    spec = OutputSpec.parse(text, DEFAULTS)
    assert (spec.path, spec.kind, spec.style) == (path, kind, style)


def test_a_folder_that_is_there_needs_no_slash(tmp_path: Path) -> None:
    assert OutputSpec.parse(str(tmp_path), DEFAULTS).kind == "images"
    with pytest.raises(ConfigError, match="or a folder with a slash at its end"):
        OutputSpec.parse(str(tmp_path / "other"), DEFAULTS)


@pytest.mark.parametrize(
    "text",
    [
        "neon=a.mp4",
        "Binary=a.mp4",
        "side-by-side=a.mp4",
        "cutout=a.mp4",
        "tracks=a.webp",
        "neon=a/",
        "=a.mp4",
        "=a/",
    ],
)
def test_a_style_that_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"output is '{text}'; allowed styles here: overlay"):
        OutputSpec.parse(text, DEFAULTS)
