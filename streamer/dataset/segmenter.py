"""One video of a data set, from its images to its results."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from model import VisTR
from streamer.assembly import make_stages
from streamer.dataset.annotations import Video
from streamer.dataset.clip import clip_entries, segment_clip
from streamer.dataset.images import ImageSequence
from streamer.dataset.options import DatasetOptions
from streamer.dataset.parts import PartsFolder
from streamer.output import StreamInfo
from streamer.pipeline import Pipeline
from streamer.results import write_results
from streamer.ring_buffer import RingBuffer
from streamer.run import Run
from streamer.sinks.results_sink import ResultsSink, lines_path
from streamer.sinks.sink import SinkThread
from streamer.sources.decoder_thread import DecoderThread

BEST_PER_CATEGORY = 100
"""Tracks of a category that are written, the best ones. Source: YouTube-VIS's evaluation, which
looks at no more of them in a video."""


class VideoSegmenter:
    """Segments whole videos, each by itself; may be shared by threads.

    Args:
        net: The network, on its device and in its dtype already.
        options: What the user asked for.
        parts: Where the results go.
    """

    def __init__(self, net: VisTR, options: DatasetOptions, parts: PartsFolder) -> None:
        self._net = net
        self._config = options.network
        self._parts = parts

    def segment(self, video: Video, on_frame: Callable[[], None]) -> None:
        """Write the results of a video.

        Args:
            video: Checked already.
            on_frame: Called with each frame that is done; what it raises ends the work.

        Raises:
            SourceError: A frame cannot be read.
            DeviceError: The device failed, or ran out of memory.
            SinkError: The results cannot be written.
        """
        self._parts.note_images(video.video_id, video.images)
        name, short_side = f"video {video.video_id}", self._config.short_side
        source = ImageSequence(name, video.images, video.size, short_side or self._net.short_side)
        if len(video.images) > self._net.frames:
            self._stitch(source, video.video_id, on_frame)
            return
        inputs = [source.inputs(path) for path in video.images]
        objects = segment_clip(self._net, inputs, video.size, on_frame)
        self._parts.write(video.video_id, clip_entries(video.video_id, objects))

    def _stitch(self, source: ImageSequence, video_id: int, on_frame: Callable[[], None]) -> None:
        """A video longer than a window: the tracks that its windows show, as the stream has them.

        The JSON lines that the results are made of lie beside them meanwhile.
        """
        path = str(self._parts.path(video_id))
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
        pipeline = Pipeline(DecoderThread(source, RingBuffer(stride)), stages)
        sink.start()
        Run(pipeline, [sink], info, [lambda _: on_frame()]).execute()
        lines = lines_path(path)
        write_results(lines, path, best=BEST_PER_CATEGORY)
        Path(lines).unlink()
