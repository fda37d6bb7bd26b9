"""`training.streaming`: results are the stream's own, and held against the right frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

import streamer
from model import VisTR, save_vistr
from tests.clips import make_clip
from tests.evaluated import SIZE, pictures, sure_vistr
from training.clip import Clip
from training.real_clip import load_for_evaluation
from training.streaming import speed_rows, stream_results, streaming_rows

FRAMES = 45


@pytest.fixture(scope="module")
def net() -> VisTR:
    return sure_vistr(18)


def write(folder: Path, frames: NDArray[np.uint8]) -> None:
    folder.mkdir()
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{index}.png"), frame[..., ::-1])


class Answers:
    """Clips in which exactly that is there what the stream finds with a stride."""

    def __init__(self, net: VisTR, stride: int, folder: Path) -> None:
        self.net, self.stride, self.folder = net, stride, folder
        self.tracks = 0

    def draw(self, rng: np.random.Generator, times: Sequence[int], size: tuple[int, int]) -> Clip:
        assert size == SIZE
        frames = len(times)
        seed = int(rng.integers(1000))
        place = self.folder / f"{seed}"
        if not place.exists():
            write(place, pictures(seed, frames))
        _, found = stream_results(self.net, place, "own", self.stride)
        self.tracks += len(found)
        masks = np.zeros((len(found), frames, *size), bool)
        for row, result in zip(masks, found, strict=True):
            for t, mask in enumerate(result.tube.masks):
                if mask is not None:
                    row[t] = coco_mask.decode(mask)
        return Clip(pictures(seed, frames), masks, np.array([r.category_id for r in found]))


def test_results_are_those_of_the_stream_in_this_process(tmp_path: Path, net: VisTR) -> None:
    write(tmp_path / "frames", pictures(3, FRAMES))
    save_vistr(net, tmp_path / "net.safetensors")
    # Loaded as the stream loads it, but in float32 on any CPU: to the last bit the same.
    loaded = load_for_evaluation(tmp_path / "net.safetensors")
    video, results = stream_results(loaded, tmp_path / "frames", "here", 12)
    assert (video.size, video.frames) == (SIZE, FRAMES)
    tracks: dict[int, list[object]] = {}
    place, weights = tmp_path / "frames", tmp_path / "net.safetensors"
    with streamer.stream(place, weights=weights, precision="fp32", stride=12) as frames:
        for t, frame in enumerate(frames):
            assert np.array_equal(frame.frame.image, pictures(3, FRAMES)[t])
            for instance in frame.instances:
                track = tracks.setdefault(instance.track_id, [None] * FRAMES)
                track[t] = instance.segment.rle()
    assert len(tracks) > 1
    assert [list(result.tube.masks) for result in results] == list(tracks.values())


def test_what_the_stream_finds_counts_in_full_with_its_stride(tmp_path: Path, net: VisTR) -> None:
    source = Answers(net, 18, tmp_path)
    rows = streaming_rows(net, {"own": source, "none": source}, {"own": 2}, FRAMES)
    assert source.tracks > 4
    assert list(rows) == [
        f"own, stride {stride}{end}" for stride in (12, 18) for end in ("", ", any category")
    ]
    perfect = {"HOTA": 1.0, "DetA": 1.0, "AssA": 1.0, "IDF1": 1.0, "IDSW": 0}
    assert rows["own, stride 18"] == pytest.approx(perfect)
    assert rows["own, stride 18, any category"]["IDF1"] == pytest.approx(1)
    assert 0 < rows["own, stride 12"]["HOTA"] < 1


def test_speed_by_stride_up_to_the_window(tmp_path: Path, net: VisTR) -> None:
    make_clip(tmp_path / "clip.mp4", frames=FRAMES, size=SIZE)
    rows = speed_rows(net, tmp_path / "clip.mp4")
    assert list(rows) == ["stride 12", "stride 18"]
    # 45 frames: windows end with frames 12, 24, 36 or 18, 36, and a last one holds the rest.
    assert [row["windows"] for row in rows.values()] == [4, 3]
    for row in rows.values():
        assert row["fps"] == pytest.approx(FRAMES / row["seconds"])
        assert row["seconds"] > 0
        assert row["tracks"] > 0
