"""One video of a data set, from its images to its results."""

from __future__ import annotations

from collections.abc import Callable

from model import VisTR
from streamer.dataset.annotations import Video
from streamer.dataset.clip import clip_entries, segment_clip
from streamer.dataset.images import ImageSequence
from streamer.dataset.options import DatasetOptions
from streamer.dataset.parts import PartsFolder
from streamer.dataset.stitched import VideoStitcher


class VideoSegmenter:
    """Segments whole videos, each by itself; may be shared by threads.

    Args:
        net: The network, on its device and in its dtype already.
        options: What the user asked for.
        parts: Where the results go.
    """

    def __init__(self, net: VisTR, options: DatasetOptions, parts: PartsFolder) -> None:
        self._net = net
        self._short_side = options.network.short_side or net.short_side
        self._parts = parts
        self._stitcher = VideoStitcher(net, options.network)

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
        name = f"video {video.video_id}"
        source = ImageSequence(name, video.images, video.size, self._short_side)
        if len(video.images) > self._net.frames:
            path = self._parts.path(video.video_id)
            self._stitcher.write(source, video.video_id, path, on_frame)
            return
        inputs = [source.inputs(path) for path in video.images]
        objects = segment_clip(self._net, inputs, video.size, on_frame)
        self._parts.write(video.video_id, clip_entries(video.video_id, objects))
