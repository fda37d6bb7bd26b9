"""What the stream makes of long clips whose objects are known, and how fast it is."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.annotations import GroundTruth, Result, Truth, Video, read_results
from benchmarks.tracking import tracking_figures
from model import VisTR
from streamer.assembly import assemble
from streamer.config import StreamConfig
from streamer.errors import SinkError
from streamer.option_check import Auto
from streamer.output import FrameResult
from streamer.result_lines import survey
from streamer.run import Run
from streamer.sink_assembly import file_sinks
from streamer.sinks.results_sink import lines_path
from streamer.stats import Summary
from streamer.window_config import WindowConfig
from training.feed import ClipSource
from training.held_out import Rows, named_categories, network_frame, without_categories
from training.tube_figures import truths_of

SEED = 3 * 10**6
"""Seed of the long clips: apart from all others."""

STRIDES = (12, 18)
"""New frames per window in the composites: the defaults of live sources and of files."""

SPEED_STRIDES = (12, 18, 36)


def streaming_rows(
    net: VisTR, sources: Mapping[str, ClipSource], clips: Mapping[str, int], frames: int
) -> Rows:
    """How well the stream keeps identities in long clips, for each source of clips and stride.

    ``any category`` counts all objects as one category; otherwise an object in a wrong category is
    a false one and a missed one.

    Args:
        net: On its device.
        sources: By what their clips show.
        clips: How many from a source.
        frames: Length of each clip.

    Raises:
        ConfigError: TrackEval is not installed.
        SinkError: There is no room for a clip's frames, or for results, in the temporary folder.
    """
    rows = {}
    strides = _allowed(STRIDES, net)
    for kind, count in clips.items():
        videos, truths = {}, []
        found: dict[int, list[Result]] = {stride: [] for stride in strides}
        for video_id in range(1, count + 1):
            with TemporaryDirectory() as name:
                folder = Path(name)
                truths += _draw(sources[kind], video_id, frames, network_frame(net), folder)
                for stride in strides:
                    label = f"{kind} {video_id}/{count}, stride {stride}"
                    videos[video_id], results = stream_results(net, folder, label, stride)
                    found[stride] += [replace(result, video_id=video_id) for result in results]
        truth = GroundTruth(videos, named_categories(net), tuple(truths))
        for stride, results in found.items():
            row = f"{kind}, stride {stride}"
            rows[row] = tracking_figures(truth, results)
            unnamed = without_categories(truth, results)
            rows[f"{row}, any category"] = tracking_figures(*unnamed)
    return rows


def speed_rows(net: VisTR, video: Path) -> Rows:
    """How fast the stream is on a video by stride, without an output.

    The time is that from the first decoded frame to the last result.

    Args:
        net: On its device.
        video: Any file.

    Raises:
        SourceError: The video cannot be read.
    """
    rows = {}
    for stride in _allowed(SPEED_STRIDES, net):
        config = StreamConfig(input=str(video), window=WindowConfig(stride=stride))
        summary = run_stream(net, config, f"{video.name}, stride {stride}")
        rows[f"stride {stride}"] = {
            "seconds": summary.wall_s,
            "fps": summary.fps,
            "ms per window": summary.window_ms[0],
            "windows": summary.windows,
            "tracks": summary.tracks,
        }
    return rows


def stream_results(
    net: VisTR, source: Path, label: str, stride: Auto | int = "auto"
) -> tuple[Video, list[Result]]:
    """A stream's results file, read back: the tracks of a video with their masks as run lengths.

    Settings are the defaults except for the stride.

    Args:
        net: On its device.
        source: A video of one size, or a folder of images.
        label: Of the progress bar.
        stride: New frames per window.

    Returns:
        The video, and a result for each track; their video id is 1.

    Raises:
        SourceError: The source cannot be read.
    """
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "results.json")
        window = WindowConfig(stride=stride)
        run_stream(net, StreamConfig(input=str(source), window=window, results=[path]), label)
        with Path(lines_path(path)).open("rb") as lines:
            surveyed, _ = survey(lines, path)
        videos = {
            video_id: Video((video.size[0], video.size[1]), video.frames)
            for video_id, video in surveyed.items()
        }
        return videos[1], read_results(path, videos)


def run_stream(net: VisTR, config: StreamConfig, label: str) -> Summary:
    """Run the stream as the command line does, with a network that is loaded already.

    Args:
        net: On its device.
        config: What to read and write.
        label: Of the progress bar.

    Raises:
        StreamError: The source cannot be read, or something cannot be written.
    """
    assembly = assemble(config, net, str(uuid.uuid4()))
    sinks = file_sinks(config, endless=assembly.endless)
    for sink in sinks:
        sink.start()
    frames = assembly.expected_frames
    with tqdm(total=frames, desc=label, unit="frame", disable=None) as progress:

        def count(_: FrameResult) -> None:
            progress.update()

        return Run(assembly.pipeline, sinks, assembly.info, [count]).execute()


def _allowed(strides: Iterable[int], net: VisTR) -> list[int]:
    """Strides, none longer than the network's window."""
    return sorted({min(stride, net.frames) for stride in strides})


def _draw(
    source: ClipSource, video_id: int, frames: int, size: tuple[int, int], folder: Path
) -> list[Truth]:
    """Write a clip as images, without loss; of its masks only the run lengths are kept."""
    clip = source.draw(np.random.default_rng((SEED, video_id)), range(frames), size)
    for index, frame in enumerate(clip.frames):
        path = str(folder / f"{index}.png")
        if not cv2.imwrite(path, cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)):
            raise SinkError(f"{path}: cannot be written")
    return truths_of(video_id, clip)
