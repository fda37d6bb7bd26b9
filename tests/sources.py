"""Opening and reading sources in tests."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from streamer.errors import SourceError
from streamer.frame import Frame
from streamer.source_config import SourceConfig
from streamer.sources.container_media import ContainerMedia
from streamer.sources.selection import Selection
from streamer.sources.source import Source
from streamer.sources.source_opening import open_source
from streamer.sources.source_spec import SourceSpec

SHORT_SIDE = 32
DEFAULTS = SourceConfig()


def opened(
    spec: object, selection: Selection | None = None, device: str = "cpu", **config: Any
) -> Source:
    return open_source(
        str(spec),
        SourceConfig(**config),
        selection or Selection(),
        SHORT_SIDE,
        device=torch.device(device),
    )


def read(
    spec: object, selection: Selection | None = None, device: str = "cpu", **config: Any
) -> list[Frame]:
    """The frames of a source that is never lost."""
    source = opened(spec, selection, device, **config)
    try:
        frames = list(source)
        assert None not in frames
        return [frame for frame in frames if frame is not None]
    finally:
        source.close()


def read_broken(source: Source) -> tuple[list[Frame | None], str]:
    frames: list[Frame | None] = []
    with pytest.raises(SourceError) as caught:
        frames.extend(frame for frame in source)
    source.close()
    return frames, str(caught.value)


def lose_and_find(
    source: Source, lose: Callable[[], object], find: Callable[[], object], counts: tuple[int, int]
) -> list[Frame]:
    """The frames of a live source that is lost once, so many before and after, in two epochs."""
    assert source.live
    frames = iter(source)
    before = [next(frames) for _ in range(counts[0])]
    lose()
    held = []  # what had arrived
    while (frame := next(frames)) is not None:
        held.append(frame)
    find()
    after = [next(frames) for _ in range(counts[1])]
    source.interrupt()
    source.close()
    received = [frame for frame in (*before, *held, *after) if frame is not None]
    assert [frame.index for frame in received] == list(range(len(received)))
    assert all(later.time_s > earlier.time_s for earlier, later in pairwise(received))
    epochs = {frame.epoch.index: frame.epoch for frame in received}
    assert [epoch.reason for epoch in epochs.values()] == ["start", "reconnect"]
    assert source.counts.reconnects == 1
    assert {frame.capture_clock for frame in received} == {"arrival"}
    return received


def media_of(source: Path | str, config: SourceConfig = DEFAULTS) -> ContainerMedia:
    return ContainerMedia(SourceSpec.parse(str(source), config), config)


def decode(source: Path | str, config: SourceConfig = DEFAULTS) -> tuple[int, ContainerMedia, str]:
    """How many pictures come, and the error at their end."""
    media = media_of(source, config)
    count, error = 0, ""
    try:
        for _ in media.pictures(Fraction(0)):
            count += 1
    except SourceError as caught:
        error = str(caught)
    media.close()
    return count, media, error
