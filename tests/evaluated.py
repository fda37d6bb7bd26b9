"""What the tests of `training.evaluate` evaluate: sure networks, and small assets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.annotations import Result, Video
from model import VisTR
from streamer.mask import rle_as_json
from tests.clips import make_clip
from tests.tiny_vistr import tiny_vistr
from training.assets import VIDEO

SIZE = (48, 64)


def sure_vistr(frames: int, classes: int = 5) -> VisTR:
    """A random network whose slots show different things, of category 1 or 2, with sure scores."""
    # The seed was found by trying: with others all slots show nearly the same.
    net = tiny_vistr(frames=frames, slots=4, classes=classes, short_side=SIZE[0], seed=3)
    tensors = net.state_dict()
    _tell_slots_apart(tensors, net.architecture.heads)
    tensors["vistr.class_embed.bias"][1:3] = 60.0
    tensors["vistr.class_embed.weight"][1:3] *= 10
    return net


def _tell_slots_apart(tensors: dict[str, Tensor], heads: int) -> None:
    """Let what the slots differ in outweigh what they share, so that each shows a mask of its own.

    With plain random parameters all slots of a network give nearly the same mask: backbone features
    drown the attention maps, which are the only thing that the mask head sees of a slot.

    Args:
        tensors: Of `random_tensors`, changed in place.
        heads: Attention maps, the last input channels of the mask head.

    Source: the gains were found by trying, for the light network.
    """
    tensors["vistr.query_embed.weight"] *= 6
    tensors["mask_head.lay1.weight"][:, -heads:] *= 1000
    for name in ("bbox_attention.q_linear.weight", "bbox_attention.k_linear.weight"):
        tensors[name] *= 10
    for level in (1, 2, 3):
        tensors[f"mask_head.adapter{level}.weight"] *= 0.02
    tensors["insmask_head.9.weight"] *= 20  # decided masks: unsure ones are all alike


def pictures(seed: int, frames: int) -> NDArray[np.uint8]:
    """Frames [frames, H, W, 3] of bright blobs that move over a dark ground."""
    rng = np.random.default_rng(seed)
    clip = rng.integers(0, 60, (1, *SIZE, 3), np.uint8).repeat(frames, axis=0)
    for colour in (255, 200, 150):
        start, step = rng.uniform(5, 40, 2), rng.uniform(-0.5, 0.5, 2)
        for t, frame in enumerate(clip):
            x, y = (start + t * step).round().astype(int).tolist()
            cv2.circle(frame, (x, y), 8, (colour, 255 - colour, 90), -1)
    return clip


def write_labels(path: Path, video: Video, results: Sequence[Result], frames: Sequence[int]) -> Any:
    """Write results, in some frames of a clip, as if they were labels; returns the content."""
    annotations = []
    for number, result in enumerate(results, start=1):
        masks = [result.tube.masks[index] for index in frames]
        if not any(masks):  # between two of the frames
            continue
        annotations.append(
            {
                "id": number,
                "video_id": 7,
                "category_id": result.category_id,
                "segmentations": [mask and rle_as_json(mask) for mask in masks],
            }
        )
    entry = {"id": 7, "height": video.size[0], "width": video.size[1], "length": len(frames)}
    content = {
        "videos": [entry | {"frames": list(frames)}],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
        "annotations": annotations,
    }
    path.write_text(json.dumps(content))
    return content


def write_assets(folder: Path) -> None:
    """Assets with a person who walks through frames 450 to 549 of the video.

    Categories 2 and 3 have three sprites and one.
    """
    for part in ("video", "backgrounds", "sprites/02_dog", "sprites/03_cat"):
        (folder / part).mkdir(parents=True)
    scene = np.full((120, 160, 3), 90, np.uint8)
    frames = [scene] * 450
    for x in range(20, 120):
        walker = cv2.ellipse(scene.copy(), (x, 60), (10, 25), 0, 0, 360, (230, 220, 20), -1)
        frames.append(walker)
    make_clip(folder / VIDEO, frames=frames)
    rng = np.random.default_rng(0)
    for index in range(5):
        picture = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (128, 96))
        cv2.imwrite(str(folder / "backgrounds" / f"{index}.jpg"), picture)
    for place in ("02_dog/a", "02_dog/b", "02_dog/c", "03_cat/a"):
        sprite = np.zeros((40, 40, 4), np.uint8)
        colour = rng.integers(0, 255, 3).tolist()
        cv2.circle(sprite, (20, 20), 18, (*colour, 255), -1)
        cv2.imwrite(str(folder / "sprites" / f"{place}.webp"), sprite)
