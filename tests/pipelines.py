"""Pipelines of stand-ins, and runs of them on another thread."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from streamer.output import StreamInfo
from streamer.pipeline import Pipeline, Stages
from streamer.predictor import Predictor
from streamer.ring_buffer import Overflow, RingBuffer
from streamer.run import Run
from streamer.scheduler import WindowScheduler
from streamer.sinks.sink import SinkThread
from streamer.sources.decoder_thread import DecoderThread, FrameSource
from streamer.stats import Summary
from streamer.stitching.merger import FrameMerger
from streamer.stitching.stitcher import Stitcher
from tests.waits import PATIENCE_S

INFO = StreamInfo("test", ("", "person"), 8, 4, live=False, run="r")


def pipeline(
    source: FrameSource,
    predictor: Predictor,
    *,
    stride: int = 4,
    delay: int = 0,
    step: int = 1,
    grows: bool = False,
    overflow: Overflow = "block",
) -> Pipeline:
    """A pipeline with windows of eight frames."""
    stages = Stages(
        WindowScheduler(8, stride, step, grows=grows),
        predictor,
        Stitcher(accept=0.3, memory=100),
        FrameMerger(delay, INFO.categories),
    )
    return Pipeline(DecoderThread(source, RingBuffer(64 if grows else 4, overflow)), stages)


@contextmanager
def running(whole: Pipeline, *sinks: SinkThread) -> Iterator[Future[Summary]]:
    """A run on another thread; inside, something must let it end."""
    for sink in sinks:
        sink.start()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(Run(whole, sinks, INFO).execute)
        yield done
        done.result(PATIENCE_S)
