"""The stream on a real clip, some of whose frames were labelled by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.annotations import GroundTruth, Result, Truth, Video, read_ground_truth
from benchmarks.average_precision import average_precision
from benchmarks.tracking import tracking_figures
from benchmarks.tubes import Tube
from model import VisTR
from streamer.assembly import load
from streamer.config import StreamConfig
from streamer.errors import SourceError
from streamer.json_file import read_json
from streamer.option_check import Auto
from training.streaming import stream_results

ANNOTATIONS = Path(__file__).parents[1] / "tests" / "real_clip" / "annotations.json"
"""Labels of people in the shipped clip; part of the repository, not of the package."""

Found = TypeVar("Found", Truth, Result)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Labelled frames of a clip.

    Attributes:
        truth: The objects, in one video that consists of the labelled frames.
        frames: Indices of these frames in the clip, ascending.
    """

    truth: GroundTruth
    frames: tuple[int, ...]

    @property
    def video(self) -> Video:
        """The labelled frames as a video."""
        (video,) = self.truth.videos.values()
        return video


def load_for_evaluation(weights: Path | None) -> VisTR:
    """A network, on a GPU if there is one, in float32 there too, so that figures compare.

    Raises:
        CheckpointError: The weights cannot be loaded.
    """
    path = None if weights is None else str(weights)
    return load(StreamConfig(weights=path, precision="fp32"))


def read_labels(path: Path) -> Labels:
    """Read a YouTube-VIS annotation file of one video, with ``frames`` in its entry.

    Args:
        path: ``frames`` lists the index in the clip of each frame that the video consists of.

    Raises:
        SourceError: The file cannot be read, or is not of that kind.
    """
    truth = read_ground_truth(str(path))
    content, _ = read_json(path)
    if len(truth.videos) != 1:
        raise SourceError(f"{path}: has {len(truth.videos)} videos, expected 1")
    (video,) = truth.videos.values()
    frames = content["videos"][0].get("frames")
    is_ascending = (
        isinstance(frames, list)
        and len(frames) == video.frames
        and all(type(index) is int and index >= 0 for index in frames)
        and frames == sorted(set(frames))
    )
    if not is_ascending:
        raise SourceError(
            f"{path}: videos[0]: frames is {frames!r:.60}, expected {video.frames} ascending "
            "indices of frames in the clip"
        )
    return Labels(truth, tuple(frames))


def label_figures(
    net: VisTR, labels: Labels, clip: Path, stride: Auto | int = "auto"
) -> dict[str, float]:
    """Score the stream's results on the labelled frames.

    Results below the stream's threshold are not there to be found, which bounds AP.

    Args:
        net: On its device.
        labels: Of the clip.
        clip: The video.
        stride: New frames per window.

    Returns:
        Mask AP and AP50 of the frames, each by itself and with its track's score; tube AP and AP50
        of the frames as one video, and its tracking figures; tracks and labelled objects in it.

    Raises:
        SourceError: The clip cannot be read, or is not what the labels are of.
        ConfigError: TrackEval is not installed.
    """
    video, results = stream_results(net, clip, clip.name, stride)
    if video.size != labels.video.size or labels.frames[-1] >= video.frames:
        raise SourceError(
            f"{clip}: {video.frames} frames of {_size(video)}, but labels of frame "
            f"{labels.frames[-1]} and {_size(labels.video)}"
        )
    (video_id,) = labels.truth.videos
    seen = [_sampled(result, labels.frames, video_id) for result in results]
    tracks = [result for result in seen if result.tube.areas.any()]
    masks = average_precision(*_frame_by_frame(labels.truth, tracks)).stats
    tubes = average_precision(labels.truth, tracks).stats
    return {
        "mask AP": masks["AP"],
        "mask AP50": masks["AP50"],
        "tube AP": tubes["AP"],
        "tube AP50": tubes["AP50"],
        **tracking_figures(labels.truth, tracks),
        "tracks": len(tracks),
        "objects": len(labels.truth.truths),
    }


def _sampled(result: Result, frames: Sequence[int], video_id: int) -> Result:
    """A result of the clip as one of the labelled frames."""
    masks = tuple(result.tube.masks[index] for index in frames)
    return replace(result, video_id=video_id, tube=Tube(masks, result.tube.areas[list(frames)]))


def _frame_by_frame(
    truth: GroundTruth, results: Sequence[Result]
) -> tuple[GroundTruth, list[Result]]:
    """Each frame of a video as a video by itself."""
    (video,) = truth.videos.values()
    videos = {number: Video(video.size, 1) for number in range(1, video.frames + 1)}
    truths = tuple(part for found in truth.truths for part in _parts(found))
    parts = [part for found in results for part in _parts(found)]
    return GroundTruth(videos, truth.categories, truths), parts


def _parts(found: Found) -> list[Found]:
    """A truth or result in each frame where it has pixels."""
    tube = found.tube
    return [
        replace(
            found,
            video_id=frame + 1,
            tube=Tube((tube.masks[frame],), tube.areas[frame : frame + 1]),
        )
        for frame in tube.areas.nonzero()[0].tolist()
    ]


def _size(video: Video) -> str:
    return f"{video.size[1]}x{video.size[0]}"
