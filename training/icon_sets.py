"""The packages of drawings by other artists, and which of their icons show which category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
"""The icons that show a category, by the names that most sets share; seen on contact sheets."""


@dataclass(frozen=True, slots=True)
class IconSet:
    """One artist's drawings.

    Attributes:
        name: Of the package ``@iconify-json/NAME``.
        version: Of the package.
        drawn: The icons that show a category, as in `DRAWN`.
    """

    name: str
    version: str
    drawn: Mapping[str, str]


def _without(*lacks: str) -> dict[str, str]:
    """`DRAWN` without the icons that a set does not have, or that show something else there."""
    return {
        category: " ".join(name for name in names.split() if name not in lacks)
        for category, names in DRAWN.items()
    }


_SINCE_2018 = (
    *("black-cat", "giraffe", "guide-dog", "man-standing", "orangutan", "parrot"),
    *("person-standing", "pickup-truck", "polar-bear", "seal", "service-dog", "skateboard"),
    *("woman-standing", "zebra"),
)
ICON_SETS = (
    IconSet("noto", "1.2.9", DRAWN),
    IconSet("noto-v1", "1.2.5", _without(*_SINCE_2018)),
    IconSet("twemoji", "1.2.5", _without("tennis")),  # a ball alone
    IconSet(
        "emojione",
        "1.2.3",
        _without(
            *_SINCE_2018,
            *("grinning-cat", "man-running", "man-surfing", "man-walking"),
            *("woman-running", "woman-surfing", "woman-walking"),
        ),
    ),
    IconSet(
        "fxemoji",
        "1.2.2",
        {
            "person": "dancer maninbusinesssuitlevitating running walking",
            "giant_panda": "pandaface",
            "sedan": "automobile oncomingautomobile oncomingpolicecar oncomingtaxi policecar "
            "recreationalvehicle taxi",
            "dog": "dog dogside poodle",
            "snake": "snake",
            "monkey": "monkey monkeyface",
            "hand": "aok fistedhand hand index left raisedfist raisedhandpartfingers "
            "raisedhandsfingerssplayed thumbsdown thumbsup turnedokhand victoryhand",
            "rabbit": "bunny",
            "cat": "cat catside",
            "cow": "cow cowface ox waterbuffalo",
            "fish": "blowfish fish tropicalfish",
            "train": "highspeedtrain highspeedtrainbulletnose lightrail railwaycar "
            "steamlocomotive train",
            "horse": "horse horseface",
            "turtle": "turtle",
            "bear": "bear",
            "motorbike": "motorcycle",
            "leopard": "leopardside",
            "airplane": "airplane",
            "truck": "articulatedlorry deliverytruck fireengine",
            "tiger": "tiger tigerside",
            "elephant": "elephant",
            "mouse": "hampster mouse mouseside rat",
            "frog": "frog",
        },
    ),
    IconSet(
        "streamline-emojis",
        "1.2.4",
        {
            "person": "man-dancing-1 man-dancing-2 man-in-suit-levitating-1 man-running-1 "
            "man-running-2 man-walking-1 man-walking-2 woman-dancing-1 woman-running-1 "
            "woman-walking-1 woman-walking-2",
            "giant_panda": "panda-face",
            "sedan": "automobile oncoming-police-car oncoming-taxi taxi",
            "dog": "dog dog-face poodle",
            "snake": "snake",
            "monkey": "monkey monkey-face",
            "hand": "backhand-index-pointing-left-1 backhand-index-pointing-up-1 "
            "hand-with-fingers-splayed-1 index-pointing-up-1 ok-hand-1 oncoming-fist-1 "
            "raised-fist-1 raised-hand-1 raised-hand-2 sign-of-the-horns-1 thumbs-down-1 "
            "thumbs-up-1 victory-hand-1 vulcan-salute-1",
            "rabbit": "rabbit rabbit-face",
            "cat": "cat cat-face grinning-cat-face",
            "cow": "cow cow-face ox water-buffalo",
            "fish": "blowfish tropical-fish",
            "train": "bullet-train locomotive railway-car",
            "horse": "horse horse-face",
            "turtle": "turtle",
            "bear": "bear-face",
            "fox": "fox-face-1 fox-face-2",
            "airplane": "airplane",
            "truck": "delivery-truck fire-engine",
            "tiger": "tiger tiger-face",
            "elephant": "elephant",
            "boat": "sailboat speedboat",
            "mouse": "hamster-face mouse mouse-face",
            "frog": "frog-face",
            "tennis_racket": "tennis-2",
        },
    ),
)
"""Noto and the older Noto (Google, Apache-2.0), Twemoji (Twitter, CC BY 4.0), EmojiOne 2 (CC BY
4.0), Firefox OS Emoji (Mozilla, Apache-2.0) and Streamline Emoji (Streamline, CC BY 4.0)."""
