"""The whole stream, from decoding to a reader on loopback, with a clock on each stage."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.clock import StageClock
from benchmarks.network_speed import keep_best
from model import VisTR
from streamer import pipeline
from streamer.assembly import assemble, publishers
from streamer.client import MaskSubscriber
from streamer.config import StreamConfig
from streamer.output import CroppedMask
from streamer.predictor import VistrPredictor
from streamer.run import Run
from streamer.sinks.zmq_sink import ZmqSink
from streamer.sources.source import Source
from streamer.stats import Summary
from streamer.stitching.merger import FrameMerger
from streamer.stitching.stitcher import Stitcher

STAGES: tuple[tuple[object, str, str], ...] = (
    (Source, "__iter__", "decode"),
    (VistrPredictor, "_encode", "upload"),
    (VisTR, "encode", "encode"),
    (VisTR, "relate", "relate"),
    (VisTR, "segment", "segment"),
    (VistrPredictor, "predict", "download"),
    (pipeline, "untangle", "untangle"),
    (Stitcher, "identify", "stitch"),
    (FrameMerger, "merge", "merge"),
    (CroppedMask, "rle", "run lengths"),
    (ZmqSink, "_advance", "publish"),
)
"""Functions and the stages that they are; each without the others that it calls."""


def stream_rows(net: VisTR, config: StreamConfig, strides: tuple[int, ...], kept: int) -> Any:
    """Frames a second of the real stream by stride, and what each stage takes of a frame.

    The stages run on three threads, and each is timed by the wall: where all cores are busy, what
    one waits for another is in it.

    Args:
        net: As the product runs it.
        config: What to read, and how.
        strides: New frames per window, each a run of its own.
        kept: Slots that are segmented in each window, whatever their scores.
    """
    rows = {}
    for stride in strides:
        window = replace(config.window, stride=stride)
        clock = StageClock(next(net.parameters()).device)
        with clock.on(STAGES), keep_best(kept):
            summary = _run(net, replace(config, window=window))
        rows[f"stride {stride}"] = {
            "fps": summary.fps,
            "frames": summary.frames,
            "ms_per_frame": {
                stage: 1000 * clock.seconds[stage] / summary.frames for _, _, stage in STAGES
            },
        }
    return rows


def _run(net: VisTR, config: StreamConfig) -> Summary:
    """Run the stream as the command line does, with one reader."""
    with TemporaryDirectory() as folder:
        endpoint = f"ipc://{Path(folder) / 'stream'}"
        published = replace(config, publish=[endpoint], zmq=replace(config.zmq, wait_subscribers=1))
        run = str(uuid.uuid4())
        assembly = assemble(published, net, run)
        sinks = publishers(published, run)
        for sink in sinks:
            sink.start()
        reader = threading.Thread(target=_read, args=(endpoint,))
        reader.start()
        try:
            return Run(assembly.pipeline, sinks, assembly.info).execute()
        finally:
            reader.join()


def _read(endpoint: str) -> None:
    with MaskSubscriber(endpoint, timeout_s=60) as subscriber:
        for _ in subscriber:
            pass
