"""Images as PNG and JPEG bytes."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.errors import SinkError

_TO_OPENCV = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
"""OpenCV's order of the channels, by their number."""


def encode_png(image: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """An image as PNG.

    Args:
        image: uint8 or uint16, [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA.

    Raises:
        SinkError: It cannot be encoded.
    """
    return _encode(".png", image, [])


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """An image as JPEG.

    Args:
        image: uint8, [H, W] grey or [H, W, 3] RGB.
        quality: From 0 to 100.

    Raises:
        SinkError: JPEG cannot hold it (over 65,500 pixels a side).
    """
    return _encode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encode(
    extension: str, image: NDArray[np.uint8] | NDArray[np.uint16], options: list[int]
) -> bytes:
    pixels = cast("NDArray[np.uint8]", image)
    if pixels.ndim == 3:
        pixels = cast("NDArray[np.uint8]", cv2.cvtColor(pixels, _TO_OPENCV[pixels.shape[2]]))
    try:
        done, encoded = cv2.imencode(extension, pixels, options)
    except cv2.error as error:
        raise SinkError(f"cannot encode {image.shape} as {extension}: {error.err}") from error
    if not done:
        raise SinkError(f"cannot encode {image.shape} as {extension}")
    return encoded.tobytes()
