"""Whole streams of frames that were decoded on the network's device: the masks are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import streamer
from streamer import cli
from streamer.config import SHIPPED_CLIP
from streamer.output import FrameResult
from streamer.sources import frame_assembler
from streamer.sources.picture import Picture
from streamer.sources.yuv_planes import YuvPlanes, copy_planes

SAME = 0.98
"""Mean IoU that the masks of both ways of decoding have to reach."""


def results_of(**options: Any) -> list[FrameResult]:
    with streamer.stream(str(SHIPPED_CLIP), **options) as frames:
        return list(frames)


def covered(result: FrameResult) -> NDArray[np.bool_]:
    """bool [H, W]: what all instances of a frame cover."""
    masks = [instance.mask() for instance in result.instances]
    return np.logical_or.reduce(masks) if masks else np.zeros(result.frame.epoch.size, np.bool_)


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def frame_ious(found: list[FrameResult], expected: list[FrameResult]) -> list[float]:
    """IoU of what is covered, a frame each."""
    assert [a.frame.index for a in found] == [b.frame.index for b in expected]
    return [iou(covered(a), covered(b)) for a, b in zip(found, expected, strict=True)]


def instance_ious(found: list[FrameResult], expected: list[FrameResult]) -> list[float]:
    """For each expected mask the best IoU with a mask of the same frame."""
    return [
        max((iou(mask, other.mask()) for other in a.instances), default=0.0)
        for a, b in zip(found, expected, strict=True)
        for mask in (instance.mask() for instance in b.instances)
    ]


def check_same(found: list[FrameResult], expected: list[FrameResult]) -> None:
    frames, instances = frame_ious(found, expected), instance_ious(found, expected)
    print(f"mean IoU by frame {np.mean(frames):.4f} (lowest {min(frames):.4f})")
    print(f"by instance {np.mean(instances):.4f} ({len(instances)} masks)")
    assert len(instances) > len(expected), "people are there to be found"
    assert np.mean(frames) >= SAME
    assert np.mean(instances) >= 0.95, "a score may cross the threshold, and its mask is gone"


def decode_as_a_device_does(frame: av.VideoFrame) -> YuvPlanes | None:
    return copy_planes(frame.reformat(format="nv12"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_masks_of_planes_converted_by_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's way with the CPU as the device: only the decoder is another."""
    expected = results_of(device="cpu", max_frames=72)
    monkeypatch.setattr(Picture, "is_on_device", property(lambda _: True))
    monkeypatch.setattr(frame_assembler, "copy_planes", decode_as_a_device_does)
    check_same(results_of(device="cpu", max_frames=72), expected)


@pytest.mark.gpu
@pytest.mark.timeout(600)
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_masks_of_nvdec_are_those_of_software(precision: str) -> None:
    expected = results_of(device="cuda", precision=precision, hwaccel="none")
    found = results_of(device="cuda", precision=precision, hwaccel="cuda")
    check_same(found, expected)


@pytest.mark.gpu
@pytest.mark.timeout(600)
def test_sinks_fetch_images_while_the_network_is_recorded_and_runs(
    tmp_path: Path, weights: str
) -> None:
    shown = {}
    for hwaccel in ("none", "cuda"):
        video, folder = tmp_path / f"{hwaccel}.mp4", tmp_path / hwaccel
        options = (
            f"--weights {weights} --device cuda --source.hwaccel {hwaccel} --max_frames 80 "
            f"--window.stride 3 --output overlay={video} --output frame={folder}/ "
            "--images.format png"
        )
        assert cli.main([str(SHIPPED_CLIP), *options.split()]) == 0
        with av.open(str(video)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 80
        with av.open(str(folder / "79.png")) as container:
            shown[hwaccel] = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(shown["cuda"].astype(int) - shown["none"]).mean() < 1
