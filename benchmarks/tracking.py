"""HOTA, IDF1 and identity switches of results, by TrackEval's metrics on frame-wise mask IoU."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from types import ModuleType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from benchmarks.annotations import GroundTruth, Result, Truth
from benchmarks.tubes import Tube, frame_ious
from streamer.errors import ConfigError

FIGURES = ("HOTA", "DetA", "AssA", "IDF1", "IDSW")

INSTALL = "pip install -e '.[eval]' && pip install --no-deps 'trackeval>=1.3,<2'"


def trackeval() -> ModuleType:
    """The TrackEval package.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import trackeval as package  # noqa: PLC0415 - not every installation has it
    except ImportError as error:
        raise ConfigError(f"HOTA and IDF1 need trackeval: {INSTALL}") from error
    return cast("ModuleType", package)


def tracking_figures(truth: GroundTruth, results: Sequence[Result]) -> dict[str, float]:
    """How well results keep their identities, over all frames of all videos and categories.

    Every result is one track and counts in each frame where it has pixels, whatever its score; so
    do crowds, as in TrackEval's own YouTube-VIS evaluation. Only objects of the same category can
    match, and results of categories that the ground truth does not list don't count.

    Returns:
        HOTA, DetA and AssA (means over the localisation thresholds 0.05 to 0.95) and IDF1 from 0 to
        1, and IDSW, the number of identity switches; -1 where there is no object and no result.

    Raises:
        ConfigError: TrackEval is not installed.

    Source: HOTA, arXiv 2009.07736; IDF1, arXiv 1609.01775; IDSW, "CLEAR MOT" (Bernardin 2008).
    """
    metrics = trackeval().metrics
    sequences = _sequences(truth, results)
    if not sequences:
        return dict.fromkeys(FIGURES, -1)
    quiet = {"PRINT_CONFIG": False}
    combined: dict[str, Any] = {}
    for metric in (metrics.HOTA(), metrics.Identity(quiet), metrics.CLEAR(quiet)):
        # TrackEval combines categories by their detections just as it combines videos.
        combined |= metric.combine_sequences(
            {name: metric.eval_sequence(sequence) for name, sequence in sequences.items()}
        )
    figures: dict[str, float] = {name: float(np.mean(combined[name])) for name in FIGURES}
    return figures | {"IDSW": int(combined["IDSW"])}


def _sequences(
    truth: GroundTruth, results: Sequence[Result]
) -> dict[tuple[int, int], dict[str, Any]]:
    """TrackEval's view of each video and category in which there is anything."""
    tubes: dict[tuple[int, int], tuple[list[Tube], list[Tube]]] = defaultdict(lambda: ([], []))
    objects: list[Truth | Result] = [*truth.truths, *results]
    for found in objects:
        if found.category_id in truth.categories and found.tube.areas.any():
            side = 0 if isinstance(found, Truth) else 1
            tubes[found.video_id, found.category_id][side].append(found.tube)
    return {key: _sequence(*sides, truth.videos[key[0]].frames) for key, sides in tubes.items()}


def _sequence(truths: list[Tube], results: list[Tube], frames: int) -> dict[str, Any]:
    """What TrackEval's metrics take: who is in each frame, numbered from 0, and their IoU."""
    truth_ids = [_seen(truths, frame) for frame in range(frames)]
    result_ids = [_seen(results, frame) for frame in range(frames)]
    return {
        "num_timesteps": frames,
        "num_gt_ids": len(truths),
        "num_tracker_ids": len(results),
        "num_gt_dets": sum(map(len, truth_ids)),
        "num_tracker_dets": sum(map(len, result_ids)),
        "gt_ids": truth_ids,
        "tracker_ids": result_ids,
        "similarity_scores": [
            frame_ious(truths, results, frame)[np.ix_(truth_ids[frame], result_ids[frame])]
            for frame in range(frames)
        ],
    }


def _seen(tubes: list[Tube], frame: int) -> NDArray[np.int64]:
    """Positions of the tubes that have pixels in a frame, int64 [n]."""
    return np.flatnonzero(np.array([tube.areas[frame] for tube in tubes]))
