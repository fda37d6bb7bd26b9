"""Tubes: the masks of one object over the frames of a video, and how much tubes overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from streamer.mask import Rle


@dataclass(frozen=True, slots=True)
class Tube:
    """The masks of one object.

    Attributes:
        masks: For each frame of the video its mask, or None where the object is not seen.
        areas: Set pixels of each mask, int64 [frames]; 0 where there is none.
    """

    masks: tuple[Rle | None, ...]
    areas: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.areas.shape != (len(self.masks),):
            raise ValueError(f"{len(self.masks)} masks, but areas {self.areas.shape}")

    @property
    def mean_area(self) -> float:
        """Mean of the areas that are not 0, in pixels; 0 where all are."""
        return mean_area(self.areas.tolist())


def mean_area(areas: Sequence[float | None]) -> float:
    """Mean of the areas that are neither None nor 0, in pixels; 0 where there are none.

    Source: `YTVOSeval._prepare` in youtubevos/cocoapi.
    """
    seen = [area for area in areas if area]
    return float(np.mean(seen)) if seen else 0.0


def frame_intersections(
    results: Sequence[Tube], truths: Sequence[Tube], frame: int
) -> NDArray[np.int64]:
    """Pixels that each result shares with each truth in one frame, int64 [results, truths]."""
    shared = np.zeros((len(results), len(truths)), dtype=np.int64)
    rows = [row for row, tube in enumerate(results) if tube.areas[frame]]
    columns = [column for column, tube in enumerate(truths) if tube.areas[frame]]
    if rows and columns:
        # For crowds pycocotools divides by the result's area alone: times that area, the quotient
        # is the intersection but for less than half a pixel of rounding.
        shares = coco_mask.iou(
            cast("Any", [results[row].masks[frame] for row in rows]),
            cast("Any", [truths[column].masks[frame] for column in columns]),
            [1] * len(columns),
        )
        areas = np.array([results[row].areas[frame] for row in rows])
        shared[np.ix_(rows, columns)] = np.rint(np.asarray(shares) * areas[:, None])
    return shared


def frame_ious(results: Sequence[Tube], truths: Sequence[Tube], frame: int) -> NDArray[np.float64]:
    """IoU of each result with each truth in one frame, float64 [results, truths].

    0 where both are empty.
    """
    shared = frame_intersections(results, truths, frame)
    result_areas = np.array([tube.areas[frame] for tube in results], dtype=np.int64)
    truth_areas = np.array([tube.areas[frame] for tube in truths], dtype=np.int64)
    return _over_union(shared, result_areas, truth_areas)


def tube_ious(results: Sequence[Tube], truths: Sequence[Tube]) -> NDArray[np.float64]:
    """Sum of intersections over sum of unions of tubes of one video, float64 [results, truths].

    0 where both are empty.

    Source: section 3 of "Video Instance Segmentation" (arXiv 1905.04804).
    """
    shared = np.zeros((len(results), len(truths)), dtype=np.int64)
    for frame in range(len(truths[0].masks) if truths else 0):
        shared += frame_intersections(results, truths, frame)
    result_areas = np.array([tube.areas.sum() for tube in results], dtype=np.int64)
    truth_areas = np.array([tube.areas.sum() for tube in truths], dtype=np.int64)
    return _over_union(shared, result_areas, truth_areas)


def _over_union(
    shared: NDArray[np.int64], result_areas: NDArray[np.int64], truth_areas: NDArray[np.int64]
) -> NDArray[np.float64]:
    united = result_areas[:, None] + truth_areas - shared
    ious: NDArray[np.float64] = shared / np.maximum(united, 1)
    return ious
