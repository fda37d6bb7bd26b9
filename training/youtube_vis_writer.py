"""Writes clips as a data set in YouTube-VIS's layout: a JSON file, and folders of JPEGs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from streamer.errors import SinkError
from streamer.image_encoding import encode_jpeg
from streamer.mask import CroppedMask, rle_as_json
from streamer.output_path import make_folder, write_whole
from training.clip import Clip

IMAGES = "JPEGImages"
"""The folder that ``file_names`` start from, as the published data names it."""

ANNOTATIONS = "annotations.json"

JPEG_QUALITY = 95


def write_youtube_vis(
    folder: Path, clips: Iterable[tuple[str, Clip]], categories: Sequence[str]
) -> None:
    """Write ``JPEGImages/<name>/00000.jpg`` and on for each clip, and at the end what is in them.

    ``annotations.json`` lists videos, categories and objects, with compressed RLE. It appears once
    all is written; clips are taken one at a time, only their entries are kept.

    Args:
        folder: Made if it is not there. Images of an earlier run that was broken off are replaced.
        clips: Names of folders, each another one, and clips, of at least a frame and in these
            categories. Objects without a pixel in any frame are not written.
        categories: Names of the category ids from 1 on.

    Raises:
        SinkError: The folder holds annotations already, or something cannot be written.
    """
    check_without_data(folder)
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video_id, (name, clip) in enumerate(clips, start=1):
        videos.append({"id": video_id} | _write_frames(folder / IMAGES, name, clip))
        for entry in _objects(clip):
            annotations.append({"id": len(annotations) + 1, "video_id": video_id} | entry)
    content = {
        "videos": videos,
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories, start=1)],
        "annotations": annotations,
    }
    write_whole(folder / ANNOTATIONS, json.dumps(content).encode("ascii"))


def check_without_data(folder: Path) -> None:
    """See that a folder holds no data set; it need not be there.

    Raises:
        SinkError: It does.
    """
    if (folder / ANNOTATIONS).exists():
        raise SinkError(
            f"{folder / ANNOTATIONS}: is there already, expected a folder without annotations"
        )


def _write_frames(images: Path, name: str, clip: Clip) -> dict[str, Any]:
    """Write the images of a clip; returns its entry but for the id."""
    make_folder(images / name)
    file_names = [f"{name}/{index:05}.jpg" for index in range(len(clip.frames))]
    for file_name, frame in zip(file_names, clip.frames, strict=True):
        write_whole(images / file_name, encode_jpeg(frame, JPEG_QUALITY))
    height, width = clip.size
    length = len(file_names)
    return {"height": height, "width": width, "length": length, "file_names": file_names}


def _objects(clip: Clip) -> Iterator[dict[str, Any]]:
    """The entries of a clip's objects but for the ids."""
    for masks, category_id in zip(clip.masks, clip.category_ids.tolist(), strict=True):
        if not masks.any():
            continue
        crops = [CroppedMask.from_array(mask) for mask in masks]
        yield {
            "category_id": category_id,
            "iscrowd": 0,
            "segmentations": [crop and rle_as_json(crop.rle()) for crop in crops],
            "bboxes": [crop and list(crop.bbox_xywh) for crop in crops],
            "areas": [crop and crop.area for crop in crops],
        }
