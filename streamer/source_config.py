"""What a user can set about the input; the attribute docstrings are the help texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from streamer.option_check import Auto, check, check_at_least, check_positive

MAX_ASPECT = 8.0
"""Longest side over shortest that the network is fed: beyond it, memory grows with the ratio."""


@dataclass(frozen=True)
class SourceConfig:
    """How the input is read."""

    live: Auto | bool = "auto"
    """Whether the source is live: frames are dropped rather than delayed. auto: live for rtsp(s),
    rtmp, udp, tcp, rtp, srt, webcams and HLS without an end list. true: also of another URL, such
    as an HTTP camera's, whose end is then a loss, and tried again."""

    realtime: bool = False
    """Pace a file like a camera, by its own timestamps."""

    loop: bool = False
    """Start a file over when it ends, for ever."""

    fps: float = 10.0
    """Frames per second of images (a folder, a pattern or one), which have no timing of their own;
    an animated PNG or GIF has."""

    format: str | None = None
    """FFmpeg input format, where it cannot be guessed (lavfi, mpegts, v4l2, …; concat for a list of
    files)."""

    webcam_size: str | None = None
    """Size of a webcam's pictures, such as 1280x720. Without it, what its driver is set to. A
    driver takes the nearest that it has."""

    webcam_fps: float | None = None
    """Frames per second to ask the webcam for. Without it, what its driver is set to."""

    webcam_format: str | None = None
    """How a webcam sends pictures, such as mjpeg or yuyv422: over USB 2 only mjpeg is fast
    enough for large pictures."""

    transport: Literal["tcp", "udp"] = "tcp"
    """RTSP transport."""

    credentials: str | None = None
    """File with a line user:password for the URL, which keeps them off the command line. It is read
    at each connection."""

    tls_ca: str | None = None
    """File (PEM) of the authorities that may have signed the certificate of an rtsps or https
    source (of HLS, the playlist's). Without it certificates are not checked."""

    hwaccel: Literal["auto", "none", "cuda"] = "auto"
    """What decodes video. auto: NVDEC if the network runs on CUDA, where driver and codec have it,
    else the CPU; the log says which. cuda: NVDEC or an error. none: the CPU."""

    open_timeout_s: float = 10.0
    """Longest wait for a network source to open, in seconds."""

    read_timeout_s: float = 10.0
    """Longest wait for a picture from a network source, and for data from standard input, in
    seconds. A read that does not end by itself (a webcam's) is left behind a second later."""

    wait: bool = False
    """Wait for a live source that cannot be opened yet. Otherwise only one that has given a frame
    is tried again."""

    max_reconnects: int | None = None
    """Attempts in a row to reach a lost live source again before the run fails; 0 for none.
    Without it, for ever."""

    reconnect_delay_s: float = 1.0
    """Longest wait before the first attempt, in seconds; it doubles with each attempt, and begins
    anew once frames have come for reconnect_max_delay_s; a random share, up to half, is left
    out."""

    reconnect_max_delay_s: float = 30.0
    """Longest wait between two attempts, in seconds."""

    buffer: Auto | int = "auto"
    """Decoded frames that may wait for a window. A live source drops the oldest beyond that, so
    more than the new frames of a window only add latency. auto: exactly as many as
    the longest stride takes."""

    def __post_init__(self) -> None:
        for name in ("fps", "webcam_fps"):
            fps = getattr(self, name)
            check(fps is None or 1e-3 <= fps <= 1e3, f"source.{name}", fps, "from 0.001 to 1000")
        size = self.webcam_size
        fits = size is None or re.fullmatch("[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", size) is not None
        check(fits, "source.webcam_size", size, "width and height, such as 1280x720")
        for name in (
            *("open_timeout_s", "read_timeout_s"),
            *("reconnect_delay_s", "reconnect_max_delay_s"),
        ):
            check_positive(f"source.{name}", getattr(self, name))
        check_at_least("source.max_reconnects", self.max_reconnects, 0)
        check_at_least("source.buffer", self.buffer, 1, or_auto=True)
