"""The stream in the caller's own process: a context manager over finished frames."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import fields
from types import TracebackType
from typing import Any

from streamer.assembly import Assembly, assemble, load
from streamer.config import SourceConfig, StreamConfig, WindowConfig
from streamer.errors import ConfigError, StreamError
from streamer.output import FrameResult, StreamInfo
from streamer.stats import Summary

SINKS = ("publish", "output", "results")


class FrameStream(AbstractContextManager["FrameStream"]):
    """Finished frames of a source, in order; use it in a ``with`` block, on one thread.

    Leaving the block in any way stops decoding and releases everything.

    Args:
        config: What to read and how.
    """

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._assembly: Assembly | None = None

    def __enter__(self) -> FrameStream:
        """Load the weights and open the source.

        Raises:
            StreamError: Something asked for is not to be had.
        """
        self._assembly = assemble(self._config, load(self._config), str(uuid.uuid4()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and close everything."""
        assembly = self._opened()
        assembly.pipeline.stop()
        assembly.pipeline.close()

    def __iter__(self) -> Iterator[FrameResult]:
        """One result for every frame that was decoded and not dropped.

        Raises:
            SourceError: The source broke; the frames before that have been given.
            DeviceError: The network's device failed.
        """
        for output in self._opened().pipeline.outputs():
            if isinstance(output, FrameResult):
                yield output

    @property
    def info(self) -> StreamInfo:
        """The window, stride and categories of this stream."""
        return self._opened().info

    @property
    def summary(self) -> Summary:
        """Counts and latencies so far."""
        return self._opened().pipeline.summary()

    def _opened(self) -> Assembly:
        if self._assembly is None:
            raise StreamError("use the stream in a with block: with streamer.stream(…) as frames:")
        return self._assembly


def stream(source: str | None = None, **options: Any) -> FrameStream:
    """Finished frames of a source, in this process.

    ::

        with streamer.stream("video.mp4", weights="vistr_r50.pth", stride=12) as frames:
            for frame in frames:
                for instance in frame.instances:
                    print(frame.frame.index, instance.track_id, instance.mask.shape)

    Args:
        source: As on the command line; None is the clip that ships with the project.
        **options: Fields of `StreamConfig`, `WindowConfig` (``stride``, ``emit_delay``, …) and
            `SourceConfig` (``live``, ``loop``, …), and whole groups such as
            ``stitch=StitchConfig(…)``.

    Raises:
        ConfigError: An option is unknown or out of range.
    """
    for name in SINKS:
        if name in options:
            raise ConfigError(f"{name} is an option of the command line, not of stream()")
    window = _take(options, WindowConfig)
    origin = _take(options, SourceConfig)
    known = {field.name for field in fields(StreamConfig)}
    for name in options:
        if name not in known:
            raise ConfigError(f"stream() has no option {name!r}; allowed: {_option_names(known)}")
    if window:
        options["window"] = WindowConfig(**window)
    if origin:
        options["source"] = SourceConfig(**origin)
    return FrameStream(StreamConfig(input=source, **options))


def _take(
    options: dict[str, Any], group: type[WindowConfig] | type[SourceConfig]
) -> dict[str, Any]:
    """Move the fields of a group out of the options."""
    names = {field.name for field in fields(group)}
    return {name: options.pop(name) for name in names & options.keys()}


def _option_names(known: set[str]) -> str:
    grouped = {field.name for group in (WindowConfig, SourceConfig) for field in fields(group)}
    return ", ".join(sorted((known | grouped) - {"input", *SINKS}))
