"""`streamer.sources.decoder_choice`: NVDEC where it is to be had, the CPU otherwise, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.video.codeccontext import VideoCodecContext

from streamer.config import SHIPPED_CLIP
from streamer.errors import ConfigError, DeviceError
from streamer.frame import Frame
from streamer.source_config import SourceConfig
from streamer.sources import decoder_choice
from streamer.sources.container_media import ContainerMedia
from streamer.sources.decoder_choice import DecoderChoice
from streamer.sources.selection import Selection
from streamer.sources.source_spec import SourceSpec
from streamer.sources.yuv_planes import copy_planes
from tests.clips import make_clip, make_images, truncate
from tests.sources import opened, read, read_broken

CUDA = torch.device("cuda")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")


@pytest.fixture
def codec() -> Iterator[VideoCodecContext]:
    with av.open(str(SHIPPED_CLIP)) as container:
        yield container.streams.video[0].codec_context


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch could use CUDA, but FFmpeg finds no driver for it."""
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)


def test_without_the_network_on_cuda_it_is_out_of_the_question(
    codec: VideoCodecContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streamer")
    for wanted, device in (("auto", torch.device("cpu")), ("none", CUDA)):
        decoding = DecoderChoice("clip", wanted, device)
        assert decoding.hwaccel() is None
        decoding.check(False, codec)
    assert caplog.text == ""


def test_each_change_is_logged_once(
    codec: VideoCodecContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "streamer")
    decoding = DecoderChoice("clip", "auto", CUDA)
    for on_device in (True, True, False, False, True):
        decoding.check(on_device, codec)
    assert caplog.messages == [
        "clip: decoded by NVDEC",
        "clip: decoded on the CPU, not by NVDEC: FFmpeg has no way to it for h264",
        "clip: decoded by NVDEC",
    ]


def test_what_must_be_nvdec_may_not_become_anything_else(codec: VideoCodecContext) -> None:
    decoding = DecoderChoice("clip", "cuda", CUDA)
    decoding.check(True, codec)
    message = r"clip: source.hwaccel is 'cuda', but NVDEC cannot decode: .*; allowed: auto, none"
    for _ in range(2):  # again after a reconnect
        with pytest.raises(DeviceError, match=message):
            decoding.check(False, codec)


def test_an_ffmpeg_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_choice, "hwdevices_available", lambda: ["drm"])
    assert DecoderChoice("clip", "auto", CUDA).hwaccel() is None
    with pytest.raises(DeviceError, match=r"\(it was built without CUDA\).*allowed: auto, none"):
        DecoderChoice("clip", "cuda", CUDA).hwaccel()


@without_cuda
@pytest.mark.usefixtures("no_driver")
def test_without_a_driver_the_cpu_decodes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, decoder_choice.__name__)
    make_clip(tmp_path / "a.mp4", frames=12)
    frames = read(tmp_path / "a.mp4", device="cuda")
    assert len(frames) == 12
    assert all(isinstance(frame.inputs, np.ndarray) for frame in frames)
    (message,) = caplog.messages
    assert "a.mp4: decoded on the CPU, not by NVDEC: FFmpeg cannot use the GPU (" in message


@without_cuda
@pytest.mark.usefixtures("no_driver")
def test_without_a_driver_what_must_be_nvdec_is_an_error(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4")
    with pytest.raises(DeviceError, match=r"a.mp4: source.hwaccel is 'cuda', but .* use the GPU"):
        opened(tmp_path / "a.mp4", device="cuda", hwaccel="cuda")


def test_what_cannot_be_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"source.hwaccel is 'cuda'; allowed: auto, none for a ne"
    ):
        opened(tmp_path / "missing.mp4", hwaccel="cuda")
    make_images(tmp_path / "images")
    with pytest.raises(ConfigError, match=r"source.hwaccel is 'cuda'; allowed: auto, none for ima"):
        opened(tmp_path / "images", device="cuda", hwaccel="cuda")


def closely(found: list[Frame], expected: list[Frame], mean: float = 1) -> bool:
    """Whether frames show the same, to the network and to whoever looks at them."""
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.index, a.pts, a.time_base, a.time_s) == (b.index, b.pts, b.time_base, b.time_s)
        assert (a.epoch.index, a.epoch.size) == (b.epoch.index, b.epoch.size)
        inputs = torch.as_tensor(a.inputs).cpu().numpy()
        for one, other in ((a.image, b.image), (inputs, b.inputs)):
            if np.abs(one.astype(int) - other).mean() > mean:
                return False
    return True


def both(path: Path, selection: Selection | None = None) -> tuple[list[Frame], list[Frame]]:
    """Frames as NVDEC decodes them, without exception, and as the CPU does."""
    found = read(path, selection, device="cuda", hwaccel="cuda")
    return found, read(path, selection, device="cuda", hwaccel="none")


@pytest.mark.gpu
def test_nvdec_is_really_used(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "streamer")
    torch.zeros(1, device="cuda")  # as the network is there before the source
    for wanted in ("cuda", "auto"):
        config = SourceConfig(hwaccel=wanted)
        media = ContainerMedia(SourceSpec.parse(str(SHIPPED_CLIP), config), config, device=CUDA)
        pictures = list(islice(media.pictures(Fraction(0)), 5))
        assert media._video.stream.codec_context.is_hwaccel
        assert all(picture.is_on_device for picture in pictures)
        copied = copy_planes(pictures[0].frame)
        assert copied is not None
        assert copied.luma.is_cuda
        media.close()
    assert caplog.messages == [f"{SHIPPED_CLIP}: decoded by NVDEC"] * 2


@pytest.mark.gpu
def test_frames_of_the_shipped_clip_are_the_software_s() -> None:
    found, expected = both(SHIPPED_CLIP, Selection(max_frames=40))
    assert all(isinstance(frame.inputs, torch.Tensor) and frame.inputs.is_cuda for frame in found)
    assert closely(found, expected)


@pytest.mark.gpu
def test_a_region_of_interest() -> None:
    selection = Selection(roi=(101, 53, 301, 203), max_frames=3)
    assert closely(*both(SHIPPED_CLIP, selection))


@pytest.mark.gpu
def test_frames_that_are_held_for_long_keep_their_pictures() -> None:
    found, expected = both(SHIPPED_CLIP, Selection(max_frames=120))
    assert len({frame.image.tobytes() for frame in expected}) > 100
    assert closely(found, expected)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "options",
    [
        {"rotation": 90},
        {"rotation": 180, "hflip": True},
        {"colorspace": 1, "color_range": 2},
        {"codec": "libx265", "pix_fmt": "yuv420p10le"},
        {"codec": "libvpx-vp9"},
        {"codec_options": {"bf": "3", "b_strategy": "0"}},
    ],
    ids=str,
)
def test_kinds_of_video(tmp_path: Path, options: dict[str, object]) -> None:
    path = tmp_path / "a.mp4"
    make_clip(path, frames=20, size=(192, 256), **options)  # type: ignore[arg-type]
    # of ten bits swscale is a level off
    assert closely(*both(path), mean=1.7 if "pix_fmt" in options else 1)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "options",
    [
        {"codec": "ffv1"},  # NVDEC knows nothing of it
        {"codec": "libx264", "pix_fmt": "yuv444p"},  # nor of this profile
        {"codec": "libx265", "size": (48, 64)},  # too small: FFmpeg falls back while it decodes
    ],
    ids=str,
)
def test_what_nvdec_cannot_the_cpu_decodes(
    tmp_path: Path, options: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, decoder_choice.__name__)
    path = tmp_path / "a.mkv"
    make_clip(path, **{"frames": 12, "size": (192, 256), **options})  # type: ignore[arg-type]
    found = read(path, device="cuda")
    assert closely(found, read(path), mean=0)
    (message,) = caplog.messages
    assert f"{path}: decoded on the CPU, not by NVDEC: " in message
    with pytest.raises(DeviceError, match=r"a.mkv: source.hwaccel is 'cuda', but NVDEC cannot"):
        opened(path, device="cuda", hwaccel="cuda")


@pytest.mark.gpu
def test_planes_that_cannot_be_shared_are_fetched(tmp_path: Path) -> None:
    # NVDEC decodes HEVC of 4:4:4, PyAV gives its planes to nobody
    path = tmp_path / "a.mkv"
    make_clip(path, frames=5, size=(192, 256), codec="libx265", pix_fmt="yuv444p")
    assert closely(read(path, device="cuda"), read(path))


@pytest.mark.gpu
def test_a_size_change_and_a_second_pass(tmp_path: Path) -> None:
    for index, size in enumerate([(192, 256), (256, 192)]):
        make_clip(tmp_path / f"{index}.ts", frames=8, size=size)
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join((tmp_path / f"{i}.ts").read_bytes() for i in range(2)))
    found, expected = both(path)
    assert {frame.epoch.size for frame in found} == {(192, 256), (256, 192)}
    assert closely(found, expected)
    source = opened(path, Selection(max_frames=40), device="cuda", hwaccel="cuda", loop=True)
    looped = [frame for frame in source if frame is not None]
    source.close()
    assert np.array_equal(looped[16].image, looped[0].image)


@pytest.mark.gpu
def test_a_truncated_file_gives_its_frames_then_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_clip(path, frames=60, size=(192, 256), container_options={"movflags": "faststart"})
    truncate(path, 0.7)
    found, message = read_broken(opened(path, device="cuda", hwaccel="cuda"))
    expected, _ = read_broken(opened(path))
    assert "the video breaks off" in message
    assert len(found) == len(expected)
