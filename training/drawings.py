"""Drawings of the 40 categories by other artists, out of Iconify's packages of emoji.

An icon set is one JSON file (https://iconify.design/docs/types/iconify-json.html); each icon of it
that is a drawing becomes an SVG file.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
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

DRAWN = {
    "person": "construction-worker man-dancing man-running man-standing man-walking person-running "
    "person-standing person-walking police-officer woman-dancing woman-running woman-standing "
    "woman-walking",
    "giant_panda": "panda",
    "lizard": "lizard",
    "parrot": "parrot",
    "skateboard": "skateboard",
    "sedan": "automobile oncoming-automobile oncoming-police-car oncoming-taxi police-car "
    "sport-utility-vehicle taxi",
    "ape": "gorilla orangutan",
    "dog": "dog dog-face guide-dog poodle service-dog",
    "snake": "snake",
    "monkey": "monkey monkey-face",
    "hand": "backhand-index-pointing-left backhand-index-pointing-up call-me-hand "
    "hand-with-fingers-splayed index-pointing-up ok-hand oncoming-fist raised-back-of-hand "
    "raised-fist raised-hand sign-of-the-horns thumbs-down thumbs-up victory-hand vulcan-salute",
    "rabbit": "rabbit rabbit-face",
    "duck": "duck",
    "cat": "black-cat cat cat-face grinning-cat",
    "cow": "cow cow-face ox water-buffalo",
    "fish": "blowfish fish tropical-fish",
    "train": "bullet-train high-speed-train light-rail locomotive monorail railway-car train tram "
    "tram-car",
    "horse": "horse horse-face",
    "turtle": "turtle",
    "bear": "bear polar-bear",
    "motorbike": "motor-scooter motorcycle",
    "giraffe": "giraffe",
    "leopard": "leopard",
    "fox": "fox",
    "deer": "deer",
    "owl": "owl",
    "surfboard": "man-surfing person-surfing woman-surfing",
    "airplane": "airplane small-airplane",
    "truck": "articulated-lorry delivery-truck fire-engine pickup-truck",
    "zebra": "zebra",
    "tiger": "tiger tiger-face",
    "elephant": "elephant",
    "snowboard": "snowboarder",
    "boat": "canoe ferry motor-boat passenger-ship sailboat ship speedboat",
    "shark": "shark",
    "mouse": "hamster mouse mouse-face rat",
    "frog": "frog",
    "eagle": "eagle",
    "earless_seal": "seal",
    "tennis_racket": "tennis",
}
"""The icons that show a category, by the names that all sets share; seen on contact sheets."""

BOX = {"left": 0, "top": 0, "width": 16, "height": 16}
"""The part of its plane that an icon takes, where neither it nor its set says another."""


@dataclass(frozen=True, slots=True)
class IconSet:
    """One artist's drawings.

    Attributes:
        name: Of the package ``@iconify-json/NAME``.
        version: Of the package.
        lacks: Those of `DRAWN` that it does not have, or that show something else.
    """

    name: str
    version: str
    lacks: frozenset[str]


_SINCE_2018 = "black-cat giraffe guide-dog man-standing orangutan parrot person-standing "
_SINCE_2018 += "pickup-truck polar-bear seal service-dog skateboard woman-standing zebra"
ICON_SETS = (
    IconSet("noto", "1.2.9", frozenset()),
    IconSet("noto-v1", "1.2.5", frozenset(_SINCE_2018.split())),
    IconSet("twemoji", "1.2.5", frozenset({"tennis"})),  # a ball alone
    IconSet(
        "emojione",
        "1.2.3",
        frozenset(
            f"{_SINCE_2018} grinning-cat man-running man-surfing man-walking woman-running "
            "woman-surfing woman-walking".split()
        ),
    ),
)
"""Noto and the older Noto (Google, Apache-2.0), Twemoji (Twitter, CC BY 4.0) and EmojiOne 2 (CC BY
4.0)."""


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
