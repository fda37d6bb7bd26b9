"""Drawings of the 40 categories by other artists, out of Iconify's packages of emoji.

An icon set is one JSON file (https://iconify.design/docs/types/iconify-json.html); each icon of it
that is a drawing becomes an SVG file.
"""

from __future__ import annotations

import io
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

from streamer.errors import SourceError

SIZE = 256
"""Sides of the pictures made of them, in pixels: of the sprites that they stand beside."""

BOX = {"left": 0, "top": 0, "width": 16, "height": 16}
"""The part of its plane that an icon takes, where neither it nor its set says another."""


def svg(icons: bytes, name: str) -> bytes:
    """The SVG file of an icon.

    Args:
        icons: The ``icons.json`` of a set.
        name: The icon's name, or another name of it.

    Raises:
        SourceError: It is no icon set, or has no icon of that name.
    """
    try:
        entire = _parsed(icons)
        aliases = entire.get("aliases", {})
        icon = {**entire, **entire["icons"][aliases.get(name, {}).get("parent", name)]}
        box = (icon.get(key, default) for key, default in BOX.items())
        body = icon["body"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SourceError(f"icons.json has no icon {name}: {error!r}") from error
    view = " ".join(str(number) for number in box)
    links = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {links} viewBox="{view}">{body}</svg>\n'.encode()


def render(path: Path) -> NDArray[np.uint8]:
    """The picture of an SVG file, `SIZE` pixels wide, as RGBA uint8 [h, w, 4].

    Raises:
        SourceError: It cannot be read as SVG.
    """
    try:
        drawn = resvg_py.svg_to_bytes(svg_path=str(path), width=SIZE, skip_system_fonts=True)
    except ValueError as error:
        raise SourceError(f"{path}: cannot be read as SVG: {error}") from error
    with Image.open(io.BytesIO(bytes(drawn))) as image:
        return np.array(image.convert("RGBA"))


@lru_cache(maxsize=1)
def _parsed(icons: bytes) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(icons)
    return parsed
