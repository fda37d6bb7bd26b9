"""A video longer than a window: overlapping windows, stitched as the stream stitches them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from model import VisTR
from streamer.assembly import make_stages
from streamer.config import StreamConfig
from streamer.dataset.images import ImageSequence
from streamer.output import StreamInfo
from streamer.pipeline import Pipeline
from streamer.results import write_results
from streamer.ring_buffer import RingBuffer
from streamer.run import Run
from streamer.sinks.results_sink import ResultsSink, lines_path
from streamer.sinks.sink import SinkThread
from streamer.sources.decoder import DecoderThread

BEST_PER_CATEGORY = 100
"""Tracks of a category that are written, the best ones. Source: YouTube-VIS's evaluation, which
looks at no more of them in a video."""


class VideoStitcher:
    """Segments videos of any length; may be shared by threads.

    Args:
        net: The network, on its device and in its dtype already.
        config: How windows, stitching and merging are wanted.
    """

    def __init__(self, net: VisTR, config: StreamConfig) -> None:
        self._net = net
        self._config = config

    def write(
        self,
        source: ImageSequence,
        video_id: int,
        results_path: Path,
        on_frame: Callable[[], None],
    ) -> None:
        """Write the results of a video: the tracks that its windows show, without a threshold.

        Args:
            source: The video's frames.
            video_id: Of the entries.
            results_path: File to write; it appears once it is whole. The JSON lines that it is made
                of lie beside it meanwhile.
            on_frame: Called with each finished frame; what it raises ends the work.

        Raises:
            SourceError: A frame cannot be read.
            DeviceError: The device failed, or ran out of memory.
            SinkError: The results cannot be written.
        """
        path = str(results_path)
        # Assembled only below: the sink would do it for a part of the video, too.
        open_sink = partial(ResultsSink, path, lines_only=True, first_video_id=video_id)
        sink = SinkThread(f"results {path}", open_sink)
        stages = make_stages(self._config, self._net, live=False)
        stride = stages.scheduler.stride
        info = StreamInfo(
            stream=source.name,
            categories=tuple(self._net.categories),
            window=self._net.frames,
            stride=stride,
            live=False,
            run=str(uuid.uuid4()),
        )
        decoder = DecoderThread(source, RingBuffer(stride))
        pipeline = Pipeline(decoder, stages)
        sink.start()
        Run(pipeline, [sink], info, [lambda _: on_frame()]).execute()
        lines = lines_path(path)
        write_results(lines, path, best=BEST_PER_CATEGORY)
        Path(lines).unlink()
