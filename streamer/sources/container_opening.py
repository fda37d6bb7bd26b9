"""Opening a container with PyAV, with FFmpeg's options for what a source is."""

from __future__ import annotations

import logging
from pathlib import Path

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from streamer.errors import ConfigError, SourceError
from streamer.source_config import SourceConfig
from streamer.sources.credentials import with_credentials
from streamer.sources.demuxers import file_options
from streamer.sources.ffmpeg_errors import translate
from streamer.sources.pipe_reader import PipeReader
from streamer.sources.source_spec import SourceSpec

log = logging.getLogger(__name__)

HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of HDR video. Source: ITU-T H.273, table 3."""

TLS_SCHEMES = ("rtsps", "https")

REORDERED_IF_LOW = {"mpeg1video", "mpeg2video", "mpeg4"}
"""Decoders that give frames in the order in which they are sent, if they are to delay none."""

BUSY_S = 0.5
"""Beyond the read time-out, in seconds, for a read to which something comes that is no packet.

FFmpeg's own time-out ends a silent one, and gives what its parser holds; PyAV's, which would lose
that, comes later.
"""


def open_container(
    spec: SourceSpec,
    config: SourceConfig,
    pipe: PipeReader | None,
    hwaccel: HWAccel | None = None,
) -> InputContainer:
    """Open what a source names.

    Args:
        spec: Which source.
        config: Format, transport and time-outs.
        pipe: What to read instead of ``spec.target``.
        hwaccel: What its video shall be decoded with; None for the CPU.

    Raises:
        SourceError: It cannot be opened, or is not a video, or its credentials cannot be read.
        ConfigError: There are certificates for what has none.
    """
    default_format = {"stdin": "mpegts", "lavfi": "lavfi", "webcam": "v4l2"}.get(spec.kind)
    target = pipe or _target(spec, config)
    try:
        return av.open(
            target,
            "r",
            format=config.format or default_format,
            options=network_options(spec, config)
            | webcam_options(config)
            | file_options(spec, config),
            timeout=_timeouts(spec, config),
            hwaccel=hwaccel,
            # A title in another encoding is no reason to refuse a video.
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        failure = translate(spec, config, error)
        raise (pipe and pipe.failure) or failure from error
    except ValueError as error:  # PyAV's own: no such format
        raise SourceError(f"{spec.name}: {error}") from error


def _target(spec: SourceSpec, config: SourceConfig) -> str:
    """What FFmpeg is to open."""
    if config.credentials is not None:
        # Anew for each connection: a password may be changed while a camera is watched.
        return with_credentials(spec.target, config.credentials)
    if spec.kind == "file" and ":" in spec.target and not spec.target.startswith("file:"):
        return f"file:{spec.target}"  # or else FFmpeg takes what precedes the colon for a protocol
    return spec.target


def _timeouts(spec: SourceSpec, config: SourceConfig) -> tuple[float | None, float | None]:
    """PyAV's own time-outs for opening and for a read, which also end what FFmpeg's do not."""
    if spec.kind == "url" or spec.live is None:
        # FFmpeg reloads a playlist for ever that answers but does not grow
        return config.open_timeout_s, config.read_timeout_s + BUSY_S
    return None, None


def webcam_options(config: SourceConfig) -> dict[str, str]:
    """FFmpeg's options for a webcam. Source: its documentation of the input device v4l2."""
    options = {
        "video_size": config.webcam_size,
        "framerate": config.webcam_fps,
        "input_format": config.webcam_format,
    }
    return {name: str(value) for name, value in options.items() if value is not None}


def network_options(spec: SourceSpec, config: SourceConfig) -> dict[str, str]:
    """FFmpeg's options for a URL: time-outs in microseconds, transport, a quick start.

    Source: FFmpeg's protocols documentation. ``timeout`` means listening to RTMP, so only the
    protocols that take it for reading get it; the generic ``rw_timeout`` serves the others.

    Raises:
        ConfigError: There are certificates for what has none.
        SourceError: They are not there.
    """
    scheme = spec.target.split(":", 1)[0].lower() if spec.kind == "url" else ""
    trusted = _trusted(scheme, config.tls_ca)
    if not scheme:
        return {}
    read_timeout_us = str(round(config.read_timeout_s * 1e6))
    options = {"rw_timeout": read_timeout_us}
    if scheme in {"rtsp", "rtsps"}:
        options = {"timeout": read_timeout_us, "rtsp_transport": config.transport}
    elif scheme in {"udp", "tcp"}:
        options["timeout"] = read_timeout_us
        if scheme == "udp":
            # Where its buffer is full, packets are lost, and no longer the connection.
            options["overrun_nonfatal"] = "1"
    elif scheme in {"rtmp", "rtmps"}:
        # RTMP announces sound in any case; FFmpeg would look for it for five seconds.
        options["analyzeduration"] = "500000"
    if spec.live:
        options["fpsprobesize"] = "0"  # the frame rate is not worth a second's wait
    return options | trusted


def _trusted(scheme: str, tls_ca: str | None) -> dict[str, str]:
    """FFmpeg's options for checking certificates, which it does not by itself."""
    if tls_ca is None:
        return {}
    if scheme not in TLS_SCHEMES:
        raise ConfigError(
            f"source.tls_ca is {tls_ca!r}; allowed: a file of certificates, for a source of "
            f"{' or '.join(TLS_SCHEMES)}"
        )
    if not Path(tls_ca).is_file():
        # Not the configuration's fault: its disk may be mounted late, or be away for a while.
        raise SourceError(f"source.tls_ca {tls_ca}: no such file")
    return {"tls_verify": "1", "ca_file": tls_ca}


def choose_video(container: InputContainer, name: str, live: bool) -> VideoStream:
    """The container's main video stream, set up for decoding.

    Raises:
        SourceError: It has none (a cover picture does not count), or FFmpeg has no decoder for it.
    """
    best = container.streams.best("video")
    moving = [s for s in container.streams.video if not _is_cover(s)]
    # The largest, such as of a playlist's variants; FFmpeg's choice among equals.
    stream = max(moving, key=lambda s: (_area(s), s is best), default=None)
    if stream is None:
        kinds = sorted({"cover picture" if _is_cover(s) else s.type for s in container.streams})
        raise SourceError(f"{name}: no video stream; it holds: {', '.join(kinds) or 'nothing'}")
    if stream.codec_context is None:
        raise SourceError(f"{name}: FFmpeg knows no decoder for its video")
    for other in moving:
        if other is not stream:
            other.discard = Discard.all  # variants are not even fetched then
    # Threads per frame would delay a live picture by as many frames, and at the end of a broken
    # file FFmpeg's drop both the frames that they hold and the error that tells of it.
    stream.thread_type = "SLICE"
    if live and stream.codec_context.name not in REORDERED_IF_LOW:
        stream.codec_context.flags |= av.codec.context.Flags.low_delay
    return stream


def warn_of_hdr(stream: VideoStream, name: str) -> None:
    """Say so where a video's colours are not what they are taken for."""
    transfer = HDR_TRANSFERS.get(stream.codec_context.color_trc)
    if transfer is not None:
        log.warning("%s: HDR (%s) is taken for SDR: it looks washed out", name, transfer)


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _area(stream: VideoStream) -> int:
    # The stubs don't know, but PyAV has no context where FFmpeg has no decoder.
    context = stream.codec_context
    return 0 if context is None else context.width * context.height
