"""The pictures, video and weights that training starts from, where `training.fetch` puts them."""

from __future__ import annotations

from pathlib import Path

from model.categories import YOUTUBE_VIS_2019
from streamer.errors import SourceError

DEFAULT_FOLDER = Path("training/assets")
"""Where `training.fetch` puts them, from the current folder."""
VIDEO = "video/vtest.avi"
BACKBONE = "weights/mobilenet_v2_features_imagenet.pt"
BACKGROUNDS = "backgrounds"
SPRITES = "sprites"
DRAWINGS = "drawings"


class Assets:
    """The files in a folder of assets; each is looked for when it is asked for.

    Args:
        folder: The folder that `training.fetch` has filled, or one that is laid out alike.
    """

    def __init__(self, folder: str | Path = DEFAULT_FOLDER) -> None:
        self._folder = Path(folder)

    @property
    def video(self) -> Path:
        """A fixed camera over people who walk: 795 frames of 768×576 at 10 frames per second.

        Raises:
            SourceError: It is missing.
        """
        return self._file(VIDEO)

    @property
    def backbone(self) -> Path:
        """The ImageNet weights of MobileNetV2's features, a dict of tensors in torchvision's order.

        Raises:
            SourceError: They are missing.
        """
        return self._file(BACKBONE)

    def backgrounds(self) -> list[Path]:
        """Pictures to put objects on: JPEG, of any size, by name.

        Raises:
            SourceError: There is none.
        """
        return self._matching(self._folder / BACKGROUNDS, "*.jpg")

    def sprites(self) -> dict[int, list[Path]]:
        """Objects cut out: WebP with an alpha channel, by name, by YouTube-VIS category id.

        Raises:
            SourceError: There is none, a category has none, or a folder has no category id.
        """
        return self._by_category(SPRITES, "*.webp")

    def drawings(self) -> dict[int, list[Path]]:
        """More objects, for training alone: SVG, by name, by YouTube-VIS category id.

        None where their folder is missing: those who bring their own sprites need none.

        Raises:
            SourceError: A category has none, or a folder has no category id.
        """
        return self._by_category(DRAWINGS, "*.svg") if (self._folder / DRAWINGS).exists() else {}

    def _by_category(self, place: str, pattern: str) -> dict[int, list[Path]]:
        found: dict[int, list[Path]] = {}
        for folder in self._matching(self._folder / place, "[!.]*/"):
            number = folder.name.partition("_")[0]
            is_number = number.isascii() and number.isdecimal()
            if not (is_number and 1 <= int(number) <= len(YOUTUBE_VIS_2019)):
                raise SourceError(
                    f"{folder}: expected NN_NAME, with NN a YouTube-VIS category id from 1 to "
                    f"{len(YOUTUBE_VIS_2019)}"
                )
            if int(number) in found:
                raise SourceError(f"{folder}: category {int(number)} has another folder too")
            found[int(number)] = self._matching(folder, pattern)
        return dict(sorted(found.items()))

    def _file(self, place: str) -> Path:
        path = self._folder / place
        if not path.is_file():
            raise self._missing(path)
        return path

    def _matching(self, folder: Path, pattern: str) -> list[Path]:
        paths = sorted(folder.glob(pattern))
        if not paths:
            raise self._missing(folder / pattern)
        return paths

    def _missing(self, path: Path) -> SourceError:
        where = "" if self._folder == DEFAULT_FOLDER else f" {self._folder}"
        return SourceError(f"{path} is missing; to fetch it: python -m training.fetch{where}")
