"""Opening the source of a run, whatever the user names."""

from __future__ import annotations

import logging
from threading import Event

import torch

from streamer.device import CPU
from streamer.errors import ConfigError, SourceError
from streamer.source_config import SourceConfig
from streamer.sources.container_media import ContainerMedia
from streamer.sources.image_media import ImageMedia
from streamer.sources.media import Media
from streamer.sources.patient_media import PatientMedia
from streamer.sources.pipe_reader import PipeReader
from streamer.sources.reconnection import Reconnection
from streamer.sources.selection import Selection
from streamer.sources.source import Source
from streamer.sources.source_spec import SourceSpec

log = logging.getLogger(__name__)


def open_source(  # noqa: PLR0913 - what to read, and for whom
    spec: str,
    config: SourceConfig,
    selection: Selection,
    short_side: int,
    *,
    stdin_fd: int = 0,
    device: torch.device = CPU,
) -> Source:
    """Open an input; what is not live is read up to its first frame.

    Args:
        spec: A file, URL, webcam, image folder, pattern, ``lavfi:GRAPH``, or ``-``.
        config: How to read it.
        selection: What part of it.
        short_side: Of the network's input, in pixels.
        stdin_fd: The descriptor that ``-`` means.
        device: The network's, on which the frames stay that NVDEC decodes.

    Raises:
        SourceError: It cannot be opened, or holds no video or no frame.
        DeviceError: NVDEC has to decode it, and cannot.
        ConfigError: It cannot be looped, or NVDEC is out of the question.
    """
    parsed = SourceSpec.parse(spec, config)
    if config.hwaccel == "cuda" and (device.type != "cuda" or parsed.kind == "images"):
        why = "images" if parsed.kind == "images" else f"a network on the {device.type}"
        raise ConfigError(f"source.hwaccel is 'cuda'; allowed: auto, none for {why}")
    if config.loop and (parsed.flows_by or parsed.live):
        raise ConfigError(f"source.loop is True; allowed: False for {parsed.name}")
    log.info("opening %s", parsed.name)  # a network's may take long, or for ever with source.wait
    media: Media
    if parsed.kind == "images":
        media = ImageMedia(parsed.target, config.fps)
    else:
        media = _open_container(parsed, config, stdin_fd, device)
    source = Source(media, config, selection, short_side)
    if not media.live:
        try:
            source.read_ahead()
        except BaseException:
            source.close()
            raise
    return source


def _open_container(
    spec: SourceSpec, config: SourceConfig, stdin_fd: int, device: torch.device
) -> Media:
    """Open a container, again and again if that is wanted."""
    if spec.kind == "stdin":
        pipe = PipeReader(stdin_fd, spec.name, config.read_timeout_s)
        return ContainerMedia(spec, config, pipe, device)
    attempts = Reconnection(spec.name, config, Event())
    while True:
        try:
            # Those of a network may never return from a read.
            if spec.live is not False or spec.kind == "url":
                return PatientMedia(
                    lambda counts: ContainerMedia(spec, config, None, device, counts), config
                )
            return ContainerMedia(spec, config, device=device)
        except SourceError as error:
            if not config.wait or spec.live is False:
                raise
            attempts.wait(error)
