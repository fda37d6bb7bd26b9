"""AP of a network on labelled clips, by the YouTube-VIS metrics."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from benchmarks.annotations import GroundTruth, Result, Truth, Video
from benchmarks.average_precision import Figures, average_precision
from benchmarks.tubes import Tube
from model import VisTR
from streamer.frame import Epoch, Frame, Region
from streamer.mask import Rle
from streamer.predictor import VistrPredictor
from streamer.window import Prediction, Window
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
        results += results_of(video_id, window_prediction(net, clip), clip.size)
    ids = sorted({truth.category_id for truth in truths})
    categories = {category_id: net.categories[category_id] for category_id in ids}
    return average_precision(GroundTruth(videos, categories, tuple(truths)), results)


def shown(figure: float) -> str:
    """A figure in three digits; ``-`` where there was nothing to find."""
    return "-" if figure == -1 else f"{figure:.3f}"


def truths_of(video_id: int, clip: Clip) -> list[Truth]:
    """The objects of a clip as ground truth."""
    return [
        Truth(video_id, int(category_id), tube, tube.mean_area, crowd=False)
        for category_id, masks in zip(clip.category_ids, clip.masks, strict=True)
        for tube in [tube_of(masks)]
    ]


def window_prediction(net: VisTR, clip: Clip) -> Prediction:
    """What the stream's predictor says of a clip that fills one window, without a threshold."""
    epoch = Epoch(0, "start", clip.size, Region(0, 0, *clip.size))
    frames = tuple(
        Frame(i, epoch, None, Fraction(1), float(i), pixels=frame, inputs=frame, decoded_ns=0)
        for i, frame in enumerate(clip.frames)
    )
    window = Window(tuple(range(len(frames))), len(frames), frames, len(frames))
    return VistrPredictor(net, threshold=0).predict(window)


def results_of(video_id: int, prediction: Prediction, size: tuple[int, int]) -> list[Result]:
    """The rows of a window as results, by the published protocol (`model.postprocess`).

    Args:
        video_id: Theirs.
        prediction: Of a window without padding.
        size: (height, width) of the masks in pixels.

    Returns:
        One result for each row that has a pixel in any frame in which it is present.
    """
    results = []
    for row, votes in enumerate(prediction.class_votes):
        logits = torch.from_numpy(prediction.masks[:, row, None])
        resized = F.interpolate(logits, size, mode="bilinear", align_corners=False)[:, 0]
        masks = (resized > 0).numpy() & prediction.presence[:, row, None, None]
        if masks.any():
            tube = tube_of(masks)
            score, category_id = float(prediction.scores[row]), int(votes.argmax())
            results.append(Result(video_id, category_id, score, tube))
    return results


def tube_of(masks: NDArray[np.bool_]) -> Tube:
    """Masks [T, H, W] as a tube."""
    columns = np.asfortranarray(masks.transpose(1, 2, 0), np.uint8)
    encoded = cast("list[Rle]", coco_mask.encode(columns))
    areas = masks.sum(axis=(1, 2))
    return Tube(
        tuple(rle if area else None for rle, area in zip(encoded, areas, strict=True)), areas
    )
