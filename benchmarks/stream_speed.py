"""The whole stream, from decoding to a reader on loopback, with a clock on each stage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.clock import StageClock
from benchmarks.network_speed import keep_best
from benchmarks.published import run_published
from model import VisTR
from model.cuda_graphs import GraphedVisTR
from streamer import pipeline
from streamer.config import StreamConfig
from streamer.output import CroppedMask
from streamer.predictor import VistrPredictor
from streamer.sinks.zmq_sink import ZmqSink
from streamer.sources.source import Source
from streamer.stitching.merger import FrameMerger
from streamer.stitching.stitcher import Stitcher


def stream_rows(net: VisTR, config: StreamConfig, strides: tuple[int, ...], kept: int) -> Any:
    """Frames a second of the real stream by stride, and what each stage takes of a frame.

    The stages run on three threads, and each is timed by the wall: where all cores are busy, what
    one waits for another is in it. On CUDA the frames a second are those of a run without clocks.

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
    with keep_best(kept):  # libraries set themselves up
        run_published(net, replace(config, max_frames=net.frames), lambda frame: None)
    rows = {}
    for stride in strides:
        run = replace(config, window=replace(config.window, stride=stride))
        clock = StageClock(device)
        with clock.on(stages), keep_best(kept):
            summary = run_published(net, run, lambda frame: None)
        if device.type == "cuda":  # where the clock makes all threads wait for the network
            with keep_best(kept):
                summary = run_published(net, run, lambda frame: None)
        rows[f"stride {stride}"] = {
            "fps": summary.fps,
            "frames": summary.frames,
            "ms_per_frame": {
                stage: 1000 * clock.seconds[stage] / summary.frames for _, _, stage in stages
            },
        }
    return rows


def _stages(network: type) -> tuple[tuple[object, str, str], ...]:
    """Functions and the stages that they are, each without the others that it calls.

    Args:
        network: The class that runs the network.
    """
    return (
        (Source, "__iter__", "decode"),
        (VistrPredictor, "_encode", "upload"),
        (network, "encode", "encode"),
        (network, "relate", "relate"),
        (network, "segment", "segment"),
        (VistrPredictor, "predict", "download"),
        (pipeline, "untangle", "untangle"),
        (Stitcher, "identify", "stitch"),
        (FrameMerger, "merge", "merge"),
        (CroppedMask, "rle", "run lengths"),
        (ZmqSink, "_advance", "publish"),
    )
