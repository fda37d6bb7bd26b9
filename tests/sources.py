"""Opening and reading sources in tests."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from streamer.errors import SourceError
from streamer.frame import Frame
from streamer.source_options import SourceConfig
from streamer.sources.selection import Selection
from streamer.sources.source import Source, open_source

SHORT_SIDE = 32


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
