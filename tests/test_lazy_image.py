"""`streamer.sources.lazy_image`: an image is fetched once, and only if it is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import av
import numpy as np
import pytest
import torch

from streamer.errors import DeviceError
from streamer.sources.lazy_image import LazyImage
from streamer.sources.yuv_planes import YuvPlanes, copy_planes
from tests.clips import draw
from tests.waits import PATIENCE_S

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def picture_on(device: str, index: int = 0) -> YuvPlanes:
    frame = av.VideoFrame.from_ndarray(draw(index, (96, 128)), "rgb24").reformat(format="nv12")
    picture = copy_planes(frame)
    assert picture is not None
    luma, chroma = picture.luma.to(device), picture.chroma.to(device)
    return YuvPlanes(luma, chroma, picture.colours, picture.orientation)


@pytest.mark.parametrize("device", DEVICES)
def test_threads_get_one_and_the_same_array(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = []
    convert = YuvPlanes.rgb

    def counted(picture: YuvPlanes) -> torch.Tensor:
        converted.append(picture)
        return convert(picture)

    monkeypatch.setattr(YuvPlanes, "rgb", counted)
    image = LazyImage(picture_on(device))
    assert image.shape == (96, 128, 3)
    assert converted == []
    together = Barrier(4)

    def fetch(_: int) -> np.ndarray:
        together.wait(PATIENCE_S)
        return image.rgb()

    with ThreadPoolExecutor(4) as threads:
        arrays = list(threads.map(fetch, range(4)))
    assert len(converted) == 1
    assert all(array is arrays[0] for array in arrays)
    assert arrays[0].dtype == np.uint8
    assert np.array_equal(arrays[0], convert(picture_on(device)).cpu().numpy())


@pytest.mark.gpu
def test_an_image_fetched_while_the_network_s_stream_is_busy_is_the_right_one() -> None:
    """The planes of each are overwritten on the default stream as soon as they are let go."""
    busy = torch.rand(4096, 4096, device="cuda")
    images, expected = [], []
    for index in range(40):
        picture = picture_on("cuda", index)
        expected.append(picture.rgb())
        busy = (busy @ busy).clamp(0, 1)
        images.append(LazyImage(picture))
        del picture
    with ThreadPoolExecutor(3) as threads:
        fetched = list(threads.map(lambda image: image.rgb(), images))
    for found, wanted in zip(fetched, expected, strict=True):
        assert np.array_equal(found, wanted.cpu().numpy())


def test_a_device_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    image = LazyImage(picture_on("cpu"))

    def broken(_: YuvPlanes) -> torch.Tensor:
        raise RuntimeError("CUDA error: an illegal memory access\nmore")

    with monkeypatch.context() as patched:
        patched.setattr(YuvPlanes, "rgb", broken)
        expected = "cpu failed while fetching a frame's image: CUDA error: an illegal memory access"
        with pytest.raises(DeviceError, match=expected):
            image.rgb()
    assert image.rgb().shape == (96, 128, 3), "it may be asked again"
