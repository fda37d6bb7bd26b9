"""`streamer.image_encoding`: what other programs read back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from streamer.errors import SinkError
from streamer.image_encoding import encode_jpeg, encode_png


@pytest.mark.parametrize(
    ("channels", "dtype", "mode"),
    [
        ((), np.uint8, "L"),
        ((), np.uint16, "I;16"),
        ((3,), np.uint8, "RGB"),
        ((4,), np.uint8, "RGBA"),
    ],
)
def test_png_keeps_every_value_and_the_order_of_channels(
    channels: tuple[int, ...], dtype: type, mode: str
) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (5, 7, *channels), dtype)
    with Image.open(io.BytesIO(encode_png(image))) as read:
        assert (read.format, read.mode, read.size) == ("PNG", mode, (7, 5))
        assert np.array_equal(np.asarray(read), image)


@pytest.mark.parametrize(("channels", "mode"), [((), "L"), ((3,), "RGB")])
def test_jpeg_keeps_colours_better_at_higher_quality(channels: tuple[int, ...], mode: str) -> None:
    ramp = np.linspace(0, 250, 64, dtype=np.uint8)[None, :, None]
    image = np.broadcast_to(ramp // np.arange(1, 4, dtype=np.uint8), (48, 64, 3))
    image = np.ascontiguousarray(image if channels else image[..., 0])
    errors = []
    for quality in (30, 95):
        with Image.open(io.BytesIO(encode_jpeg(image, quality))) as read:
            assert (read.format, read.mode) == ("JPEG", mode)
            errors.append(np.abs(np.asarray(read).astype(int) - image).max())
    assert errors[1] < errors[0]
    assert errors[1] < 8


def test_an_image_that_jpeg_cannot_hold_is_an_error() -> None:
    with pytest.raises(SinkError, match="65501"):
        encode_jpeg(np.zeros((1, 65_501, 3), np.uint8), 85)
