"""The stream in the caller's own process: a context manager over finished frames."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import fields, is_dataclass
from inspect import GEN_RUNNING, getgeneratorstate
from typing import Any

import numpy as np

from streamer.arguments import configure
from streamer.assembly import Assembly, assemble, load
from streamer.config import StreamConfig
from streamer.config_file import MAX_DEPTH
from streamer.errors import ConfigError, StreamError
from streamer.open_streams import OPEN_STREAMS
from streamer.option_check import check
from streamer.output import FrameResult, StreamInfo
from streamer.source_config import SourceConfig
from streamer.stats import Summary
from streamer.torch_settings import SETTINGS
from streamer.window_config import WindowConfig

NOT_HERE = (
    *("publish", "output", "results", "annotations", "cleaned_folders", "quiet", "log"),
    *("zmq", "mp4", "images", "preview", "metrics"),
)
"""Fields of `StreamConfig` about what only the command line writes, serves and says."""

OVER = "this stream is over; another begins with streamer.stream(…)"


class FrameStream(AbstractContextManager["FrameStream"]):
    """Finished frames of a source, in order; use it in a ``with`` block, on one thread.

    `stop` alone may be called from any thread.

    Leaving the block in any way stops decoding and releases everything; a program that ends stops
    the streams of its daemon threads, and waits for them. While open, PyTorch uses
    `StreamConfig.threads` threads, and its convolutions no TF32; the previous settings return when
    the last stream closes. Of several on one thread, the last to open decides its threads.

    Args:
        config: What to read and how.
    """

    def __init__(self, config: StreamConfig) -> None:
        self._config = config
        self._assembly: Assembly | None = None
        self._results: Generator[FrameResult] | None = None
        self._ended: tuple[StreamInfo, Summary] | None = None
        self._settings = ExitStack()
        self.thread: int | None = None
        self._stopped = False
        self._left = False
        self._is_loading = False
        self._closing = threading.Lock()

    def __enter__(self) -> FrameStream:
        """Load the weights and open the source; Ctrl-C is heard while it opens.

        Raises:
            StreamError: Something asked for is not to be had, or the stream was entered before.
        """
        if self._ended is not None:
            raise StreamError(OVER)
        if self._assembly is not None:
            raise StreamError("this stream is open already; another begins with streamer.stream(…)")
        self.thread = threading.get_ident()
        try:
            self._is_loading = True
            OPEN_STREAMS.add(self)
            self._settings.enter_context(SETTINGS.kept())
            net = load(self._config)
            self._is_loading = False
            self._assembly = assemble(self._config, net, str(uuid.uuid4()))
            # Meanwhile, or before: `stop` looks for the pipeline after it says so.
            if self._stopped:
                self._assembly.pipeline.stop()
            return self
        except BaseException:  # an interrupt may come anywhere
            self._is_loading = False
            OPEN_STREAMS.discard(self)
            with self._settings:  # given back last, whatever happens here
                if self._assembly is not None:
                    self._assembly.pipeline.close()
                    self._assembly = None
            raise

    def __exit__(self, *error: object) -> None:
        """Stop, and close everything.

        Raises:
            StreamError: Another thread is in the loop. It is stopped, and closes everything then.
        """
        if threading.get_ident() == self.thread:
            self._settings.close()
        if self._ended is not None:
            return
        assembly, results = self._opened(), self._results
        self._left = True
        try:
            if results is not None:
                results.close()
        except ValueError as executing:
            assembly.pipeline.stop()
            raise StreamError(
                "another thread is in the loop of this stream: it ends and closes the stream now; "
                "stop() ends it without an error"
            ) from executing
        self._close(assembly)

    def stop(self) -> None:
        """End the stream early, from any thread.

        The window being computed is finished, then the loop ends, also one that waits for a source
        that is lost. A stream that is not open yet ends as soon as it is.
        """
        self._stopped = True
        assembly = self._assembly
        if assembly is not None:
            assembly.pipeline.stop()

    def __iter__(self) -> Iterator[FrameResult]:
        """One result for every frame that was decoded and not dropped; a second loop goes on.

        Raises:
            SourceError: The source broke; the frames before that have been given.
            DeviceError: The network's device failed.
        """
        if self._ended is not None:
            return iter(())
        if self._results is None:
            self._results = self._follow(self._opened())
        return self._results

    @property
    def is_computing(self) -> bool:
        """Whether a thread loads the weights, or is in the loop and waits for its next result."""
        results = self._results
        is_running = results is not None and getgeneratorstate(results) == GEN_RUNNING
        return self._is_loading or is_running

    @property
    def info(self) -> StreamInfo:
        """The window, stride and categories of this stream."""
        return self._ended[0] if self._ended else self._opened().info

    @property
    def summary(self) -> Summary:
        """Counts and latencies so far."""
        return self._ended[1] if self._ended else self._opened().pipeline.summary()

    def _follow(self, assembly: Assembly) -> Generator[FrameResult]:
        try:
            with closing(assembly.pipeline.outputs()) as outputs:
                for output in outputs:
                    if self._left:  # whoever gets no result leaves the loop here
                        return
                    if isinstance(output, FrameResult):
                        yield output
        finally:
            if self._left:  # by another thread, which must not close what this one was using
                self._close(assembly)

    def _close(self, assembly: Assembly) -> None:
        with self._closing:
            if self._ended is not None:
                return
            try:
                assembly.pipeline.stop()
                assembly.pipeline.close()
            finally:
                self._settings.close()
                self._ended = assembly.info, assembly.pipeline.summary()
                if not OPEN_STREAMS.are_ending:
                    self._assembly = self._results = None  # they hold the network
                OPEN_STREAMS.discard(self)

    def _opened(self) -> Assembly:
        if self._ended is not None:
            raise StreamError(OVER)
        if self._assembly is None:
            raise StreamError("use the stream in a with block: with streamer.stream(…) as frames:")
        return self._assembly


def stream(source: str | int | os.PathLike[str] | None = None, /, **options: Any) -> FrameStream:
    """See `streamer.stream`, which calls it."""
    groups = {"window": WindowConfig, "source": SourceConfig}
    names = {group: {field.name for field in fields(kind)} for group, kind in groups.items()}
    known = {field.name for field in fields(StreamConfig)} - {"input", *NOT_HERE}
    named = options.get("source", {})
    if source is None and not (isinstance(named, Mapping) or is_dataclass(named)):
        source = options.pop("source")
    values: dict[str, Any] = {"input": _plain(source)}
    # Whole groups first: what is said of one of their fields by itself counts.
    for name, value in sorted(options.items(), key=lambda option: option[0] not in groups):
        group = next((group for group in names if name in names[group]), None)
        if group is None and name not in known:
            allowed = ", ".join(sorted(known.union(*names.values())))
            raise ConfigError(f"stream() has no option {name!r}; allowed: {allowed}")
        if group is None:
            values[name] = _plain(value)
        else:
            before = values.get(group, {})
            check(isinstance(before, Mapping), group, before, "fields by their names")
            values[group] = {**before, name: _plain(value)}
    return FrameStream(configure(values))


def _plain(value: Any, depth: int = 0) -> Any:
    """A value as it would stand in a YAML file.

    Raises:
        ConfigError: It is nested deeper than any option.
    """
    if depth > MAX_DEPTH:
        raise ConfigError("a value is nested too deeply, or holds itself")
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return os.fspath(value) if isinstance(value, os.PathLike) else value
