"""`streamer.sources.frame_assembler`: pictures on a device become frames there."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamer.errors import DeviceError, SourceError
from streamer.sources import frame_assembler
from streamer.sources.lazy_image import LazyImage
from streamer.sources.picture import Picture, RgbConverter
from streamer.sources.selection import Selection
from streamer.sources.yuv_planes import copy_planes
from tests.clips import make_clip
from tests.sources import opened, read

Copier = Callable[[Callable[..., object]], None]


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> Copier:
    """Takes all pictures for some of a device, whose planes are then copied as it is told."""

    def pretend(copy: Callable[..., object]) -> None:
        monkeypatch.setattr(Picture, "is_on_device", property(lambda _: True))
        monkeypatch.setattr(frame_assembler, "copy_planes", copy)

    return pretend


@pytest.mark.parametrize("roi", [None, (5, 3, 41, 29)])
@pytest.mark.parametrize("rotation", [None, 90])
def test_a_device_s_frames_are_those_of_the_cpu(
    tmp_path: Path,
    roi: tuple[int, int, int, int] | None,
    rotation: int | None,
    on_device: Copier,
) -> None:
    make_clip(tmp_path / "a.mp4", frames=4, size=(48, 64), rotation=rotation)
    expected = read(tmp_path / "a.mp4", Selection(roi=roi))
    on_device(lambda frame: copy_planes(frame.reformat(format="nv12")))
    for found, plain in zip(read(tmp_path / "a.mp4", Selection(roi=roi)), expected, strict=True):
        assert isinstance(found.pixels, LazyImage)
        assert isinstance(found.inputs, torch.Tensor)
        assert found.epoch.region == plain.epoch.region
        assert np.abs(found.image.astype(int) - plain.image).mean() < 1
        assert np.abs(found.inputs.numpy().astype(int) - plain.inputs).mean() < 1
        assert dataclasses.replace(found, index=9).image is found.image


@pytest.mark.parametrize("roi", [(60, 0, 10, 10), (0, 0, 50, 4)])
def test_what_does_not_fit_is_refused_before_the_device_gives_memory(
    tmp_path: Path, roi: tuple[int, int, int, int], on_device: Copier
) -> None:
    make_clip(tmp_path / "a.mp4")
    copy = Mock()
    on_device(copy)
    with pytest.raises(SourceError, match=r"beyond the frame|more elongated"):
        opened(tmp_path / "a.mp4", Selection(roi=roi))
    copy.assert_not_called()


def test_planes_of_another_kind_are_converted_by_the_cpu(tmp_path: Path, on_device: Copier) -> None:
    make_clip(tmp_path / "a.mp4", frames=2)
    expected = read(tmp_path / "a.mp4")
    on_device(copy_planes)  # which leaves three planes alone
    for found, plain in zip(read(tmp_path / "a.mp4"), expected, strict=True):
        assert np.array_equal(found.image, plain.image)
        assert np.array_equal(found.inputs, plain.inputs)


def test_a_device_that_fails_is_named(tmp_path: Path, on_device: Copier) -> None:
    make_clip(tmp_path / "a.mp4")

    def exhausted(_: av.VideoFrame) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    on_device(exhausted)
    with pytest.raises(DeviceError, match="cuda failed on a decoded frame: out of memory"):
        opened(tmp_path / "a.mp4")


@pytest.mark.parametrize("camera_unix_ns", [None, -2_208_988_800 * 10**9, 0])
def test_a_camera_s_clock_that_was_never_set_is_not_believed(camera_unix_ns: int | None) -> None:
    assembler = frame_assembler.FrameAssembler("cam", True, None, 32, Fraction(1, 10))
    picture = Picture(av.VideoFrame(64, 48, "rgb24"), 0, Fraction(1, 10), camera_unix_ns)
    frame = assembler.assemble(picture, Fraction(0))
    assert frame.capture_clock == "arrival"
    assert frame.capture_unix_ns is not None
    assert frame.capture_unix_ns > 10**18


@pytest.mark.parametrize("duration", [None, 0, -1, 36_001])
def test_how_long_a_frame_is_shown_is_not_believed_where_it_is_nonsense(
    duration: int | None,
) -> None:
    assembler = frame_assembler.FrameAssembler("file", False, None, 32, Fraction(1, 10))
    image = av.VideoFrame(64, 48, "rgb24")
    picture = Picture(image, 0, Fraction(1, 10), duration=duration)
    assert assembler.assemble(picture, Fraction(0)).duration_s is None
    picture = dataclasses.replace(picture, duration=3)
    assert assembler.assemble(picture, Fraction(1, 10)).duration_s == 0.3


def test_a_frame_arrives_before_it_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[tuple[int, int]] = []

    def convert(_: RgbConverter, frame: av.VideoFrame) -> NDArray[np.uint8]:
        converted.append((time.time_ns(), time.monotonic_ns()))
        return np.zeros((frame.height, frame.width, 3), np.uint8)

    monkeypatch.setattr(RgbConverter, "convert", convert)
    assembler = frame_assembler.FrameAssembler("cam", True, None, 32, Fraction(1, 10))
    picture = Picture(av.VideoFrame(64, 48, "rgb24"), 0, Fraction(1, 10))
    frame = assembler.assemble(picture, Fraction(0))
    ((unix_ns, monotonic_ns),) = converted
    assert frame.capture_unix_ns is not None
    assert frame.capture_unix_ns <= unix_ns
    assert frame.decoded_ns <= monotonic_ns


@pytest.mark.parametrize(
    ("rotation", "expected"), [(None, Fraction(64, 45)), (90, Fraction(45, 64))]
)
def test_oblong_pixels_are_told_of_upright(
    tmp_path: Path, rotation: int | None, expected: Fraction
) -> None:
    options = {"aspect": "64/45"}
    make_clip(tmp_path / "a.mp4", frames=2, rotation=rotation, codec_options=options)
    assert [frame.epoch.pixel_aspect for frame in read(tmp_path / "a.mp4")] == 2 * [expected]


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_pixels_are_square_where_nothing_is_said(tmp_path: Path, name: str) -> None:
    make_clip(tmp_path / name, frames=1)
    assert read(tmp_path / name)[0].epoch.pixel_aspect == 1
