"""A folder of label maps, one picture a frame."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from streamer.client.received import ReceivedFrame
from streamer.image_encoding import encode_png
from streamer.output_path import make_folder, write_whole

log = logging.getLogger(__name__)

LABELS = 65_535
"""Most labels of a 16-bit picture beside the background."""


class LabelMapFolder:
    """Writes each frame's instances as a 16-bit greyscale PNG.

    A pixel is 0, or the track id of the topmost instance: ``(track_id - 1) % 65535 + 1``, which is
    the id itself up to 65535. Frames of a further run go into a folder of that run's name, and so
    do those of the first, with a warning, where an earlier reader has left pictures.

    Args:
        folder: Where to write; made if it is not there.

    Raises:
        SinkError: It cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first_run: str | None = None
        make_folder(folder)
        old = sum(1 for _ in folder.glob("[0-9]" * 6 + "*.png"))
        self._is_new = old == 0
        if old:
            log.warning(
                "%s holds %d numbered images of earlier runs already; "
                "those that come now go into folders named by their runs",
                *(folder, old),
            )

    def write(self, frame: ReceivedFrame) -> Path:
        """Write ``<frame:06d>.png`` and return its path.

        Raises:
            SinkError: It cannot be written.
            WireError: The masks are broken.
        """
        folder = self._folder
        self._first_run = self._first_run or frame.run
        if not self._is_new or frame.run != self._first_run:
            folder = folder / frame.run
            make_folder(folder)
        ids = [(instance.track_id - 1) % LABELS + 1 for instance in frame.instances]
        labels = np.array([0, *ids], dtype=np.uint16)[frame.labels()]
        path = folder / f"{frame.frame:06d}.png"
        write_whole(path, encode_png(labels))
        return path
