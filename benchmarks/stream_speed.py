"""The whole stream, from decoding to a reader, with a clock on each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.clock import StageClock, spread
from benchmarks.network_speed import keep_best
from benchmarks.published import run_published
from model import VisTR
from model.cuda_graphs import GraphedFunction, GraphedVisTR
from streamer import pipeline
from streamer.config import StreamConfig
from streamer.mask import Mask
from streamer.predictor import VistrPredictor
from streamer.sinks.zmq_sink import ZmqSink
from streamer.sources.source import Source
from streamer.stats import Summary
from streamer.stitching.merger import FrameMerger
from streamer.stitching.stitcher import Stitcher

WINDOW_STAGES = ("relate", "segment", "download", "untangle", "stitch")
"""Those whose cost is a window's, however many of its frames are new."""


def stream_rows(
    net: VisTR, config: StreamConfig, strides: tuple[int, ...], kept: int
) -> dict[str, Any]:
    """Frames a second of the real stream by stride, and what each stage takes of a frame.

    The stages run on three threads, and each is timed by the wall: where all cores are busy, what
    one waits for another is in it. A CUDA device is waited for on the network's thread alone, so
    that what a decoder asks of it counts where it is next waited for. On CUDA the frames a second
    are those of a run without clocks. They leave out the first window, which fills and whose graphs
    are recorded, and as many frames at the end, which come without a window of their own; they are
    None where no frames are left. Likewise a window's stages are divided by the stride, although
    the first one has more new frames.

    Args:
        net: As the product runs it.
        config: What to read, and how.
        strides: New frames per window, each a run of its own.
        kept: Slots that are segmented in each window, whatever their scores.
    """
    device = next(net.parameters()).device
    # A recording must not be timed from within.
    runs = GraphedVisTR if config.cuda_graphs and device.type == "cuda" else VisTR
    stages = _stages(runs)
    _run(net, replace(config, max_frames=net.frames), kept)  # libraries set themselves up
    rows = {}
    for stride in strides:
        run = replace(config, window=replace(config.window, stride=stride))
        clock = StageClock(device)
        with clock.on(stages):
            summary, arrived_ns = _run(net, run, kept)
        if device.type == "cuda":  # where the clock makes the host wait for each stage
            summary, arrived_ns = _run(net, run, kept)
        rows[f"stride {stride}"] = {
            "fps": steady_fps(arrived_ns, net.frames, stride),
            "fps_of_whole_run": summary.fps,
            "frames": summary.frames,
            "ms_per_frame": {
                stage: 1000
                * sum(clock.calls[stage])
                / (summary.windows * stride if stage in WINDOW_STAGES else summary.frames)
                for _, _, stage in stages
            },
            "calls": {stage: spread(calls) for stage, calls in clock.calls.items() if calls},
        }
    return rows


def _run(net: VisTR, config: StreamConfig, kept: int) -> tuple[Summary, list[int]]:
    """What a stream did, and when each of its frames came to the reader."""
    arrived_ns: list[int] = []
    with keep_best(kept):
        summary = run_published(
            net, config, lambda frame: arrived_ns.append(frame.received_unix_ns)
        )
    return summary, arrived_ns


def steady_fps(arrived_ns: Sequence[int], window: int, stride: int) -> float | None:
    """Frames a second between the first and the last window of a stream; None if it is too short.

    Args:
        arrived_ns: When each frame came.
        window: Frames of one.
        stride: Frames that come at once: only whole bursts of them count.
    """
    first = window - 1
    last = first + (len(arrived_ns) - 2 * window) // stride * stride
    if last <= first:
        return None
    return 1e9 * (last - first) / (arrived_ns[last] - arrived_ns[first])


def _stages(network: type) -> tuple[tuple[object, str, str], ...]:
    """Functions and the stages that they are, each without the others that it calls.

    Args:
        network: The class that runs the network.
    """
    return (
        (Source, "__iter__", "decode"),
        (GraphedFunction, "_record", "record graphs"),
        (VistrPredictor, "_encode", "upload"),
        (network, "encode", "encode"),
        (network, "relate", "relate"),
        (network, "segment", "segment"),
        (VistrPredictor, "predict", "download"),
        (pipeline, "untangle", "untangle"),
        (Stitcher, "identify", "stitch"),
        (FrameMerger, "merge", "merge"),
        (Mask, "rle", "run lengths"),
        (ZmqSink, "_advance", "publish"),
    )
