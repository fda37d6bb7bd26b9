"""YouTube-VIS average precision and recall, figure for figure as the official evaluation's."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval

from benchmarks.annotations import GroundTruth, Result
from benchmarks.tubes import tube_ious

STATS = (
    *("AP", "AP50", "AP75", "APs", "APm", "APl"),
    *("AR1", "AR10", "AR100", "ARs", "ARm", "ARl"),
)
"""The figures in the order in which COCOeval sums them up."""

AREA_RANGES = ((0, 1e5**2), (0, 128**2), (128**2, 256**2), (256**2, 1e5**2))
"""All, small, medium and large objects, in pixels of mean area.

Source: `Params.setDetParams` in youtubevos/cocoapi `PythonAPI/pycocotools/ytvoseval.py`.
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What the evaluation says; -1 stands where there is nothing to find.

    Attributes:
        stats: The figures named in `STATS`, 0 to 1, over all categories.
        categories: The same figures for each category by its id.
    """

    stats: dict[str, float]
    categories: dict[int, dict[str, float]]


def average_precision(truth: GroundTruth, results: Sequence[Result]) -> Figures:
    """Evaluate results; those of categories that the ground truth does not list don't count.

    Source: `YTVOSeval` in youtubevos/cocoapi; "Video Instance Segmentation" (arXiv 1905.04804).
    """
    evaluation = _TubeEval(truth, results)
    with redirect_stdout(io.StringIO()):  # COCOeval prints its progress and a table
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = dict(zip(STATS, evaluation.stats.tolist(), strict=True))
    categories = {
        category_id: _category_figures(dict(evaluation.eval), position)
        for position, category_id in enumerate(sorted(truth.categories))
    }
    return Figures(stats, categories)


def _category_figures(accumulated: dict[str, Any], position: int) -> dict[str, float]:
    """The figures named in `STATS` of the category at a position."""
    # precision [thresholds, recalls, area ranges, numbers of results], recall without recalls
    precision = accumulated["precision"][:, :, position]
    recall = accumulated["recall"][:, position]
    every, best_100 = 0, -1
    parts = [
        precision[..., every, best_100],
        precision[0, :, every, best_100],  # IoU 0.50
        precision[5, :, every, best_100],  # IoU 0.75
        *(precision[..., size, best_100] for size in (1, 2, 3)),
        *(recall[:, every, results] for results in range(3)),
        *(recall[:, size, best_100] for size in (1, 2, 3)),
    ]
    return dict(zip(STATS, map(_mean, parts), strict=True))


def _mean(figures: NDArray[np.float64]) -> float:
    """Mean of the figures that there are, -1 where there are none."""
    valid = figures[figures > -1]
    return float(valid.mean()) if valid.size else -1.0


class _TubeEval(COCOeval):
    """COCO's matching, accumulation and summary on tubes, with videos in the place of images.

    Objects are numbered from 1 here: COCOeval takes a match with an object of id 0 for none.
    """

    def __init__(self, truth: GroundTruth, results: Sequence[Result]) -> None:
        super().__init__(iouType="segm")
        self._truth = truth
        self._results = results
        self.params.imgIds = sorted(truth.videos)
        self.params.catIds = sorted(truth.categories)
        self.params.areaRng = [list(limits) for limits in AREA_RANGES]

    def _prepare(self) -> None:
        """What COCOeval takes from its files: dictionaries by video and category."""
        self._gts: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
        self._dts: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
        for number, truth in enumerate(self._truth.truths, start=1):
            entry = {"id": number, "tube": truth.tube, "area": truth.area}
            entry |= {"iscrowd": truth.crowd, "ignore": truth.crowd}
            self._gts[truth.video_id, truth.category_id].append(entry)
        for number, result in enumerate(self._results, start=1):
            entry = {"id": number, "tube": result.tube, "area": result.tube.mean_area}
            entry |= {"score": result.score}
            self._dts[result.video_id, result.category_id].append(entry)

    def computeIoU(  # type: ignore[override] # noqa: N802 - the stubs say list[float]
        self, video_id: int, category_id: int
    ) -> NDArray[np.float64]:
        """IoU of the best results with the truths of a video and a category, plain for crowds too.

        Returns:
            float64 [results, truths], results by falling score, those of equal score as they came.
        """
        ranked = sorted(self._dts[video_id, category_id], key=lambda result: -result["score"])
        return tube_ious(
            [result["tube"] for result in ranked[: self.params.maxDets[-1]]],
            [truth["tube"] for truth in self._gts[video_id, category_id]],
        )
