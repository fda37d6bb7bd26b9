"""What a user can set about the outputs; the attribute docstrings are the help texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streamer.option_check import check, check_at_least, check_not_negative, check_positive
from streamer.sinks.output_spec import ImageStyle, PictureStyle
from streamer.wire.messages import Encoding

X264Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"]


@dataclass(frozen=True)
class ZmqConfig:
    """The ZeroMQ publisher."""

    pattern: Literal["pub", "push"] = "pub"
    """pub: any number of readers, a slow one loses messages. push: nothing is lost while a
    reader lives, and a slow one slows the stream."""

    encoding: Encoding = "coco_rle"
    """How masks travel: COCO run lengths, or one label map per frame as PNG or zstandard (label
    maps cannot hold overlapping objects)."""

    frames: Literal["none", "jpeg"] = "none"
    """Whether the image travels beside its masks."""

    wait_subscribers: int = 0
    """Hold the first frame until this many readers have subscribed (pub only); a clip that is over
    by then, of some 30 frames, for linger_s."""

    hwm: int = 100
    """Messages that may wait for one reader (ZeroMQ's high-water mark)."""

    max_readers: int = 64
    """Most readers at a time; further ones wait until there is room."""

    heartbeat_s: float = 2.0
    """Seconds without a message after which a heartbeat is sent."""

    linger_s: float = 2.0
    """Longest wait, at the end, for readers to take what was sent, in seconds."""

    curve_key: str | None = None
    """The publisher's secret key, a .key_secret file of python -m streamer.keys: the stream is
    encrypted, for readers with an allowed key alone."""

    curve_readers: str | None = None
    """Folder of the public keys (.key files) of the readers that are allowed."""

    def __post_init__(self) -> None:
        check_at_least("zmq.wait_subscribers", self.wait_subscribers, 0)
        check(
            self.pattern == "pub" or self.wait_subscribers == 0,
            "zmq.wait_subscribers",
            self.wait_subscribers,
            "0 with zmq.pattern push, which waits for its reader anyway",
        )
        check(1 <= self.hwm < 2**31, "zmq.hwm", self.hwm, "at least 1, and 32 bits")
        check_at_least("zmq.max_readers", self.max_readers, 1)
        check_positive("zmq.heartbeat_s", self.heartbeat_s)
        check_not_negative("zmq.linger_s", self.linger_s)
        check(
            self.pattern == "pub" or self.linger_s > 0,
            "zmq.linger_s",
            self.linger_s,
            "more than 0 with zmq.pattern push, which loses nothing",
        )
        given = self.curve_key is not None
        check(
            given == (self.curve_readers is not None),
            "zmq.curve_readers",
            self.curve_readers,
            "a folder with zmq.curve_key, and nothing without",
        )


@dataclass(frozen=True)
class Mp4Config:
    """The MP4 output."""

    style: PictureStyle = "overlay"
    """Of MP4s and previews without a style of their own. overlay: coloured masks and ids over the
    video; side_by_side: the video beside that; instances: a colour per object on black; classes: a
    colour per category on black; binary: white on black; frame: the video alone."""

    crf: int = 23
    """x264's quality: 1 the best, 51 the worst; 0 is lossless, which browsers do not play."""

    preset: X264Preset = "veryfast"
    """x264's preset: slower presets make smaller files."""

    keyframe_s: float = 1.0
    """Seconds between key frames: what a kill can cost at most."""

    audio: bool = True
    """Keep the sound of a file that is read once; that of live sources and URLs is not kept."""

    segment_s: float | None = None
    """Seconds of the run after which a file ends and the next begins: out.mp4, out.1.mp4, …; the
    JSON lines of a live source or a looped file with it. A later run of such a source replaces
    none of them: it goes on behind the highest number. Without either limit, only a new frame size
    begins one."""

    segment_mb: float | None = None
    """Size in megabytes at which an MP4, or such JSON lines, ends all files and begins the next,
    unless segment_s comes first. An MP4 grows by key frames, the others may be up to 32 frames
    ahead of it, and the index at its end comes on top."""

    def __post_init__(self) -> None:
        check(0 <= self.crf <= 51, "mp4.crf", self.crf, "from 0 to 51")
        check_positive("mp4.keyframe_s", self.keyframe_s)
        if self.segment_s is not None:
            check_positive("mp4.segment_s", self.segment_s)
        if self.segment_mb is not None:
            allowed = "from 0.01 to 1e6 megabytes"
            check(0.01 <= self.segment_mb <= 1e6, "mp4.segment_mb", self.segment_mb, allowed)


@dataclass(frozen=True)
class ImagesConfig:
    """Folders with an image per frame."""

    style: ImageStyle = "binary"
    """Of folders without a style of their own: those of mp4.style, and cutout: the objects
    themselves on a transparent ground; tracks: a folder per object with its own white masks."""

    format: Literal["auto", "png", "jpg"] = "auto"
    """auto: jpg for style frame, png for all others."""

    quality: int = 95
    """Of JPEG, from 0 to 100."""

    def __post_init__(self) -> None:
        check(0 <= self.quality <= 100, "images.quality", self.quality, "from 0 to 100")


@dataclass(frozen=True)
class PreviewConfig:
    """Animated GIF and WebP."""

    width: int = 480
    """Pixels that a preview is wide at most. A GIF keeps its pictures in memory until the end: 150
    that are 1280 wide take some 440 MB."""

    fps: float = 10.0
    """Frames per second at most."""

    duration_s: float = 10.0
    """Seconds of video that it shows, from the beginning; up to 60."""

    def __post_init__(self) -> None:
        check(16 <= self.width <= 4096, "preview.width", self.width, "from 16 to 4096")
        check(0.1 <= self.fps <= 50, "preview.fps", self.fps, "from 0.1 to 50")
        duration_s = self.duration_s
        check(0 < duration_s <= 60, "preview.duration_s", duration_s, "more than 0, and up to 60")
