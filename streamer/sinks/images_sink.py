"""An image per frame in a folder: masks, pictures, cut-outs, or a mask per object."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from streamer.image_encoding import encode_jpeg, encode_png
from streamer.output import FrameResult, Output, StreamInfo
from streamer.output_path import make_folder, open_alone, write_whole, writing
from streamer.ring_buffer import RingBuffer
from streamer.sink_config import ImagesConfig
from streamer.sinks.drawing import render
from streamer.sinks.output_spec import ImageStyle, PictureStyle

ImageFormat = Literal["png", "jpg"]

# ASCII digits only: what other names a folder holds is not ours.
_NUMBERED = re.compile(r"[0-9]+\.(jpg|png)")

log = logging.getLogger(__name__)


class ImagesSink:
    """Writes ``<frame index>.png`` (or ``.jpg``) for every frame, also for those without objects.

    With style ``tracks`` there is a folder for each track id, which holds the object's own mask,
    white on black, for every frame that shows it.

    Args:
        path: The folder; made if it is not there.
        style: What the images show.
        config: Format and quality.
        clean: Whether the folder's numbered images of earlier runs are removed when this one
            begins (its `StreamInfo` comes). Otherwise they stay, with a warning.

    Attributes:
        written: The folder, once it holds an image of this run.

    Raises:
        SinkError: The folder cannot be made, or another run writes into it.
    """

    def __init__(self, path: str, style: ImageStyle, config: ImagesConfig, *, clean: bool) -> None:
        self._folder = Path(path)
        self._style = style
        self._quality = config.quality
        self._format = image_format(style, config)
        self._clean = clean
        self.written: list[Path] = []
        make_folder(self._folder)
        with writing(path):
            self._lock = open_alone(path, os.O_RDONLY)

    def drain(self, outputs: RingBuffer[Output]) -> None:
        """Write the frames among the outputs until the buffer ends.

        Raises:
            SinkError: An image cannot be written, or an old one not be removed; those before it
                are whole.
        """
        for output in outputs:
            if isinstance(output, StreamInfo):
                self._begin()
            elif isinstance(output, FrameResult):
                for path, image in self._images(output):
                    self._write(path, image)

    def close(self) -> None:
        """Let other runs write into the folder."""
        os.close(self._lock)

    def _begin(self) -> None:
        """Remove the images of earlier runs, or tell of them."""
        pattern = "*/*" if self._style == "tracks" else "*"
        with writing(self._folder):
            old = [file for file in self._folder.glob(pattern) if _is_numbered_image(file)]
        for file in old if self._clean else ():
            with writing(file):
                file.unlink()
        if old and not self._clean:
            text = "%s holds %d numbered images of earlier runs already"
            log.warning(text, self._folder, len(old))

    def _images(self, result: FrameResult) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
        name = f"{result.frame.index}.{self._format}"
        if self._style != "tracks":
            yield self._folder / name, _image(result, self._style)
            return
        for instance in result.instances:
            folder = self._folder / str(instance.track_id)
            make_folder(folder)
            yield folder / name, instance.mask().view(np.uint8) * np.uint8(255)

    def _write(self, path: Path, image: NDArray[np.uint8]) -> None:
        is_jpeg = self._format == "jpg"
        write_whole(path, encode_jpeg(image, self._quality) if is_jpeg else encode_png(image))
        self.written = [self._folder]


def image_format(style: ImageStyle, config: ImagesConfig) -> ImageFormat:
    """The format, and ending, of the images of a style."""
    if config.format != "auto":
        return config.format
    return "jpg" if style == "frame" else "png"


def _is_numbered_image(path: Path) -> bool:
    return _NUMBERED.fullmatch(path.name) is not None and not path.is_dir()


def _image(result: FrameResult, style: ImageStyle) -> NDArray[np.uint8]:
    """What one image of a style shows: grey for ``binary``, RGBA for ``cutout``, else RGB."""
    if style in ("binary", "cutout"):
        shown = (result.labels() > 0).view(np.uint8) * np.uint8(255)
        if style == "binary":
            return shown
        # What is transparent is black, too: it would give the ground away.
        return np.dstack([result.frame.image * (shown > 0)[..., None], shown])
    return render(result, cast(PictureStyle, style))
