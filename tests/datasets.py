"""Small data sets in YouTube-VIS's layout."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

Pictures = Sequence[NDArray[np.uint8]]


@dataclass(frozen=True)
class Dataset:
    root: Path

    @property
    def ann_path(self) -> Path:
        return self.root / "instances.json"

    @property
    def img_path(self) -> Path:
        return self.root / "JPEGImages"

    @property
    def save_path(self) -> Path:
        return self.root / "results.json"

    @property
    def parts(self) -> Path:
        return self.root / "results.json.parts"

    def image(self, video_id: int, index: int) -> Path:
        [entry] = [video for video in self.content()["videos"] if video["id"] == video_id]
        return self.img_path / entry["file_names"][index]

    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.ann_path.read_text())
        return content

    def rewrite(self, content: object) -> None:
        self.ann_path.write_text(json.dumps(content))

    def arguments(self, weights: object, *more: object) -> list[str]:
        paths = ("--ann_path", self.ann_path, "--img_path", self.img_path)
        return [
            str(a) for a in (*paths, "--save_path", self.save_path, "--weights", weights, *more)
        ]

    def results(self) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = json.loads(self.save_path.read_text())
        return results


def make_dataset(root: Path, videos: Mapping[int, Pictures], suffix: str = ".jpg") -> Dataset:
    """Write videos by id, and the annotations that list them."""
    dataset = Dataset(root)
    entries = []
    for video_id, pictures in videos.items():
        names = [f"video{video_id}/{index:05}{suffix}" for index in range(len(pictures))]
        (dataset.img_path / f"video{video_id}").mkdir(parents=True)
        for name, picture in zip(names, pictures, strict=True):
            Image.fromarray(picture).save(dataset.img_path / name)
        height, width = pictures[0].shape[:2]
        entry = {"id": video_id, "height": height, "width": width}
        entries.append(entry | {"length": len(names), "file_names": names})
    dataset.rewrite({"videos": entries, "categories": [{"id": 1, "name": "person"}]})
    return dataset


def pictures(frames: int, size: tuple[int, int] = (48, 64), seed: int = 0) -> Pictures:
    """Patches of colours with a little noise."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(20, 236, (frames, 1 + size[0] // 8, 1 + size[1] // 8, 3))
    plain = patches.repeat(8, axis=1).repeat(8, axis=2)[:, : size[0], : size[1]]
    return list((plain + rng.integers(-9, 10, plain.shape)).astype(np.uint8))


def jpeg(picture: NDArray[np.uint8] | Image.Image, **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def damage(path: Path) -> bytes:
    """Zero the second half of a JPEG's scan, which PIL does not mind; returns what was there."""
    data = path.read_bytes()
    half = (data.rindex(b"\xff\xda") + len(data)) // 2
    path.write_bytes(data[:half] + bytes(len(data) - half - 2) + data[-2:])
    return data


def assert_equal_results(found: Sequence[Mapping[str, Any]], golden: Sequence[Any]) -> None:
    """Entries of a results file: categories equal, scores to 1e-4, tube IoU from 0.999 on."""
    assert [entry["category_id"] for entry in found] == [entry["category_id"] for entry in golden]
    for mine, theirs in zip(found, golden, strict=True):
        assert mine["video_id"] == theirs["video_id"]
        assert mine["score"] == pytest.approx(theirs["score"], abs=1e-4)
        assert tube_iou(mine["segmentations"], theirs["segmentations"]) >= 0.999


def tube_iou(found: Sequence[Any], golden: Sequence[Any]) -> float:
    """IoU over all frames of two tracks of run lengths, which have masks in the same frames."""
    intersection = union = 0
    for mine, theirs in zip(found, golden, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            a, b = (coco_mask.decode(rle).astype(bool) for rle in (mine, theirs))
            intersection += int((a & b).sum())
            union += int((a | b).sum())
    return intersection / union
