"""What operators watch: counts and times of a run, served over HTTP for Prometheus."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from socketserver import BaseRequestHandler
from typing import Any, Self, cast
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from streamer.errors import SinkError
from streamer.metrics_config import MetricsConfig
from streamer.output import FrameResult
from streamer.pipeline import Pipeline
from streamer.sinks.sink import SinkThread
from streamer.watchdog import Watchdog

LATENCIES_S = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 30, 60)
"""Upper bounds of the latency histogram's buckets."""

LABELS = ("stream",)

REQUEST_S = 10.0
"""Longest silence of a connection, in seconds: without a limit each one that says nothing would
keep a thread and a descriptor for ever."""

MAX_CONNECTIONS = 16
"""Connections at once; a further one ends the oldest. A scrape takes milliseconds: what is older
than so many others only keeps a thread and a descriptor, which the run may lack."""

log = logging.getLogger(__name__)


class Metrics:
    """Serves a run's metrics until its context ends; a scrape never waits for the run.

    Args:
        config: Where; its port is not None.
        stream: The stream's name, a label of every metric.

    Attributes:
        address: The host and the port that it is served on.

    Raises:
        SinkError: The address cannot be bound.
    """

    def __init__(self, config: MetricsConfig, stream: str) -> None:
        self._stream = stream
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._latency = Histogram(
            "vistr_frame_latency_seconds",
            "From leaving the decoder to the hand-over to the outputs.",
            LABELS,
            buckets=LATENCIES_S,
            registry=self._registry,
        ).labels(stream)
        self._beginning: Collector | None = _Beginning(stream, config.stall_s)
        self._registry.register(self._beginning)
        try:
            server, thread = start_http_server(config.port or 0, config.host, self._registry)
        except (OSError, UnicodeError) as error:  # the latter of what can be no host's name
            where = f"{config.host}:{config.port}"
            raise SinkError(f"metrics cannot be served on {where}: {error}") from error
        self._server, self._thread = server, thread
        try:
            self._prepare(config.host)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def watch(self, pipeline: Pipeline, sinks: Sequence[SinkThread], watchdog: Watchdog) -> None:
        """Serve what these count from now on."""
        if self._beginning is not None:
            self._registry.unregister(self._beginning)
            self._beginning = None
        self._registry.register(_RunCollector(self._stream, pipeline, sinks, watchdog))

    def observe(self, result: FrameResult) -> None:
        """Count the latency of a result that is handed over now."""
        self._latency.observe((time.monotonic_ns() - result.frame.decoded_ns) / 1e9)

    def _prepare(self, host: str) -> None:
        server = self._server
        handler = cast("type[BaseRequestHandler]", server.RequestHandlerClass)
        server.RequestHandlerClass = type("_Impatient", (handler,), {"timeout": REQUEST_S})
        _Connections(server)
        # Of itself it prints a traceback for each connection that is reset or silent.
        server.handle_error = _note_broken  # type: ignore[method-assign]
        self.address = (host, server.server_port)
        shown = f"[{host}]" if ":" in host else host
        log.info("metrics on http://%s:%d/metrics", shown, server.server_port)
        # Bound, a name has become an address.
        if not ipaddress.ip_address(str(server.server_address[0])).is_loopback:
            log.warning("the metrics are open to whoever reaches this machine")


class _Connections:
    """Bounds the connections of a threading server."""

    def __init__(self, server: WSGIServer) -> None:
        self._lock = threading.Lock()
        self._open: dict[Any, None] = {}  # a set in order
        self._process, self._shut_down = server.process_request, server.shutdown_request
        server.process_request = self._bounded  # type: ignore[assignment, method-assign]
        server.shutdown_request = self._ended  # type: ignore[method-assign]

    def _bounded(self, request: Any, address: Any) -> None:
        with self._lock:
            if len(self._open) >= MAX_CONNECTIONS:
                oldest = next(iter(self._open))
                del self._open[oldest]
                with suppress(OSError):  # its thread has closed it meanwhile
                    oldest.shutdown(socket.SHUT_RDWR)  # which ends its thread's waiting
            self._open[request] = None
        self._process(request, address)

    def _ended(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        self._shut_down(request)


def _note_broken(request: object, client_address: object) -> None:
    log.debug("the connection of %s broke off", client_address, exc_info=True)


class _Beginning(Collector):
    """Says that a run does not come to begin, such as one that waits for its camera."""

    def __init__(self, stream: str, stall_s: float) -> None:
        self._stream = stream
        self._stalled_from = time.monotonic() + stall_s

    def collect(self) -> Iterator[Metric]:
        yield _stalls(self._stream, {"start": time.monotonic() >= self._stalled_from})


def _stalls(stream: str, stalled: Mapping[str, bool]) -> Metric:
    stalls = GaugeMetricFamily(
        "vistr_stage_stalled", "1 while a stage stands still.", labels=(*LABELS, "stage")
    )
    for name, is_stalled in stalled.items():
        stalls.add_metric([stream, _label(name)], is_stalled)
    return stalls


def _label(name: str) -> str:
    """A name that may hold a path, which need not be UTF-8, as labels have to be."""
    return os.fsencode(name).decode(errors="replace")


class _RunCollector(Collector):
    """Reads the run's own counters when it is asked."""

    def __init__(
        self,
        stream: str,
        pipeline: Pipeline,
        sinks: Sequence[SinkThread],
        watchdog: Watchdog,
    ) -> None:
        self._stream = stream
        self._watchdog = watchdog
        self._pipeline = pipeline
        self._sinks = sinks

    def collect(self) -> Iterator[Metric]:
        counts = self._pipeline.counts()
        for name, text, value in (
            ("frames_decoded", "Frames that the source gave, skipped ones too.", counts.decoded),
            ("frames_dropped", "Frames without a result.", counts.dropped),
            ("frames_published", "Results handed over to the outputs.", counts.frames),
            ("packets_corrupt", "Packets that came damaged.", counts.corrupt),
            ("source_reconnects", "Times that the source was reached again.", counts.reconnects),
            ("tracks", "Identities given.", counts.tracks),
        ):
            counter = CounterMetricFamily(f"vistr_{name}", text, labels=LABELS)
            counter.add_metric([self._stream], value)
            yield counter
        windows = SummaryMetricFamily(
            "vistr_window_seconds", "Time of a window, network and stitching.", labels=LABELS
        )
        windows.add_metric([self._stream], counts.windows, counts.windows_s)
        yield windows
        depths = GaugeMetricFamily(
            "vistr_queue_depth", "Frames or results that wait.", labels=(*LABELS, "queue")
        )
        depths.add_metric([self._stream, "decoder"], self._pipeline.waiting)
        for sink in self._sinks:
            depths.add_metric([self._stream, _label(sink.name)], sink.waiting)
        yield depths
        yield _stalls(self._stream, self._watchdog.stalled())
