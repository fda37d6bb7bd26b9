"""Small YouTube-VIS files: boxes as masks, one category, one video unless told."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from benchmarks.annotations import GroundTruth, Result, read_ground_truth, read_results

GOLDEN = Path(__file__).parent / "golden" / "vis_ap"
SIZE = (300, 300)
CATEGORIES = ({"id": 1, "name": "person"}, {"id": 2, "name": "dog"})


def rle(mask: NDArray[Any]) -> dict[str, Any]:
    """Compressed RLE as JSON has it, of a mask [H, W]."""
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode("ascii")}


def box(left: int, width: int, *, top: int = 0, height: int = 10) -> dict[str, Any]:
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[top : top + height, left : left + width] = 1
    return rle(mask)


def video(video_id: int = 1, frames: int = 2) -> dict[str, Any]:
    return {"id": video_id, "height": SIZE[0], "width": SIZE[1], "length": frames}


def annotation(number: int, *masks: dict[str, Any] | None, **fields: Any) -> dict[str, Any]:
    entry = {"id": number, "video_id": 1, "category_id": 1, "iscrowd": 0}
    return entry | {"segmentations": list(masks)} | fields


def result(score: float, *masks: dict[str, Any] | None, **fields: Any) -> dict[str, Any]:
    entry = {"video_id": 1, "category_id": 1, "score": score}
    return entry | {"segmentations": list(masks)} | fields


def write(
    folder: Path,
    annotations: Sequence[Any],
    results: Sequence[Any],
    videos: Sequence[Any] | None = None,
    categories: Sequence[Any] = CATEGORIES,
) -> tuple[str, str]:
    """Write ground truth and results; returns their paths.

    Unless told there is one video, as long as its first object.
    """
    if videos is None:
        videos = [video(frames=len([*annotations, *results][0]["segmentations"]))]
    ground_truth = {"videos": videos, "categories": categories, "annotations": annotations}
    (folder / "gt.json").write_text(json.dumps(ground_truth))
    (folder / "results.json").write_text(json.dumps(results))
    return str(folder / "gt.json"), str(folder / "results.json")


def golden_paths(folder: Path) -> tuple[str, str]:
    """Unpack the ground truth and results of the golden case; returns their paths."""
    paths = folder / "gt.json", folder / "results.json"
    for path in paths:
        path.write_bytes(gzip.decompress((GOLDEN / f"{path.name}.gz").read_bytes()))
    return str(paths[0]), str(paths[1])


def read(paths: tuple[str, str]) -> tuple[GroundTruth, list[Result]]:
    truth = read_ground_truth(paths[0])
    return truth, read_results(paths[1], truth.videos)
