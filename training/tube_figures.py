"""AP of a network on labelled clips, by the YouTube-VIS metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from benchmarks.annotations import GroundTruth, Result, Truth, Video
from benchmarks.average_precision import Figures, average_precision
from benchmarks.tubes import Tube
from model import VisTR
from model.postprocess import clip_results
from model.preprocess import normalise
from streamer.output import Rle
from training.clip import Clip


def tube_figures(net: VisTR, clips: Iterable[Clip]) -> Figures:
    """Evaluate a network on clips of its window's length.

    Only the categories that occur in the clips count.

    Args:
        net: On its device.
        clips: Each of the window's T frames.
    """
    videos, truths, results = {}, [], []
    for video_id, clip in enumerate(clips, start=1):
        videos[video_id] = Video(clip.size, len(clip.frames))
        truths += truths_of(video_id, clip)
        results += results_of(video_id, net, clip)
    ids = sorted({truth.category_id for truth in truths})
    categories = {category_id: net.categories[category_id] for category_id in ids}
    return average_precision(GroundTruth(videos, categories, tuple(truths)), results)


def truths_of(video_id: int, clip: Clip) -> list[Truth]:
    """The objects of a clip as ground truth."""
    return [
        Truth(video_id, int(category_id), tube, tube.mean_area, crowd=False)
        for category_id, masks in zip(clip.category_ids, clip.masks, strict=True)
        for tube in [tube_of(masks)]
    ]


@torch.inference_mode()
def results_of(video_id: int, net: VisTR, clip: Clip) -> list[Result]:
    """What a network finds in a clip."""
    device = next(net.parameters()).device
    output = net(normalise(torch.from_numpy(clip.frames).to(device), torch.float32))
    instances = clip_results(output, len(clip.frames), clip.size)
    empty = np.zeros(clip.size, np.bool_)
    return [
        Result(
            video_id,
            instance.category_id,
            instance.score,
            tube_of(np.stack([empty if mask is None else mask for mask in instance.masks])),
        )
        for instance in instances
    ]


def tube_of(masks: NDArray[np.bool_]) -> Tube:
    """Masks [T, H, W] as a tube."""
    columns = np.asfortranarray(masks.transpose(1, 2, 0), np.uint8)
    encoded = cast("list[Rle]", coco_mask.encode(columns))
    areas = masks.sum(axis=(1, 2))
    return Tube(
        tuple(rle if area else None for rle, area in zip(encoded, areas, strict=True)), areas
    )
