"""``python -m benchmarks.soak``: what a long stream with a reader costs in the end.

The input is played again and again, as fast as it goes or (``--camera``) as a live source at its
own pace. Resident set and open descriptors are read as frames arrive, and every frame is accounted
for: one that did not arrive is among those that the next one says were dropped.

The resident set swings by tens of megabytes within a window, as the network's intermediate results
come and go. So its growth is that of the median, from the first readings after the warm-up to the
last ones. The latency is held against its formula at the same percentile: windows with more objects
take longer, and so do their frames.
"""

from __future__ import annotations

from streamer.installation import FOR_STREAM, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_STREAM)

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe, device_name
from benchmarks.memory import resident_mib
from benchmarks.published import run_published
from benchmarks.report import (
    add_stream_options,
    by_percentile,
    percentiles,
    show_report,
    since_capture_ms,
)
from streamer.argument_types import finite_number, whole_number
from streamer.assembly import load
from streamer.client.received import ReceivedFrame
from streamer.config import StreamConfig
from streamer.errors import ConfigError, StreamError
from streamer.exit_codes import command
from streamer.source_config import SourceConfig
from streamer.stats import Summary
from streamer.window_config import WindowConfig

READINGS = 50
"""Of the resident set, over the whole run."""

WARM_UP, COMPARED = 10, 10
"""Readings that do not count, and those after them whose median the last ones' is compared with."""


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code: 0; 1 where something fails or memory grew too much."""
    options = _parser().parse_args(arguments)
    report = _measure(options)
    show_report(report, options.out)
    if failures := _failures(report, options.limit_mib, options.slack_ms):
        raise StreamError("; ".join(failures))
    return 0


def _failures(report: Mapping[str, Any], limit_mib: float, slack_ms: float) -> list[str]:
    """What did not hold."""
    failures = []
    if report["growth_mib"] > limit_mib:
        failures.append(f"memory grew by {report['growth_mib']} MiB, allowed are {limit_mib}")
    if report["growth_descriptors"] > 0:
        failures.append(f"{report['growth_descriptors']} descriptors were left open")
    if report["unaccounted"]:
        failures.append(f"{report['unaccounted']} frames are unaccounted for")
    if report["latency_ms"]["p99"] > report["promised_ms"] + slack_ms and report["camera"]:
        failures.append(
            f"p99 of the latency is {report['latency_ms']['p99']} ms, promised were "
            f"{report['promised_ms']} ms"
        )
    return failures


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    if options.frames <= READINGS:
        raise ConfigError(f"frames is {options.frames}, expected more than {READINGS}")
    config = StreamConfig(
        input=options.input,
        weights=options.weights,
        device=options.device,
        max_frames=options.frames,
        window=WindowConfig(stride=options.stride),
        source=SourceConfig(loop=True, live=options.camera, realtime=options.camera),
    )
    machine = describe()
    net = load(config)
    watch = _Watch(options.frames // READINGS)
    summary = run_published(net, config, watch.see)
    if len(watch.mib) <= WARM_UP:
        raise ConfigError(
            f"frames is {options.frames}, of which {watch.received} arrived: too few to compare "
            f"more than {WARM_UP} readings of memory"
        )
    return {
        "machine": machine,
        "device": device_name(next(net.parameters()).device),
        "input": Path(options.input).name,
        "camera": options.camera,
        "stride": options.stride,
        **_found(summary, watch, options.stride),
    }


def _found(summary: Summary, watch: _Watch, stride: int) -> dict[str, Any]:
    latency_ms, window_ms = percentiles(watch.latencies_ms), by_percentile(summary.window_ms)
    return {
        "frames": summary.frames,
        "dropped": summary.dropped,
        # Between decoder, outputs and reader, and in between beyond what the reader is told.
        "unaccounted": abs(summary.decoded - summary.frames - summary.dropped)
        + abs(summary.frames - watch.received)
        + watch.unaccounted,
        "fps": summary.fps,
        "latency_ms": {name: round(ms, 1) for name, ms in latency_ms.items()},
        "window_ms": {name: round(ms, 1) for name, ms in window_ms.items()},
        # The oldest new frame waits for the others of its stride, and for the window.
        "promised_ms": round((stride - 1) * watch.interval_ms + window_ms["p99"], 1),
        "growth_mib": round(_growth(list(watch.mib.values())), 1),
        # One may be open for a moment, as where the clip begins anew.
        "growth_descriptors": round(_growth(watch.descriptors)),
        "resident_mib": watch.mib,
    }


def _growth(readings: Sequence[float]) -> float:
    """From the first readings after the warm-up to the last ones: of their medians."""
    counted = readings[WARM_UP:]
    return float(np.median(counted[-COMPARED:]) - np.median(counted[:COMPARED]))


class _Watch:
    """What a reader sees of a stream.

    Args:
        every: Frames from reading to reading of memory and descriptors.

    Attributes:
        received: Frames so far.
        unaccounted: Frames that are missing between two, beyond those said to be dropped.
        mib: Resident set by frame.
        descriptors: Open ones, at the same frames.
        latencies_ms: From a live frame's arrival, or a file's publishing, to the reader.
    """

    def __init__(self, every: int) -> None:
        self.received = 0
        self.unaccounted = 0
        self.mib: dict[int, float] = {}
        self.descriptors: list[int] = []
        self.latencies_ms: list[float] = []
        self._every = every
        self._due = 0
        self._last = -1
        self._first_s: float | None = None
        self._last_s = 0.0

    @property
    def interval_ms(self) -> float:
        """From frame to frame of the source."""
        return 1000 * (self._last_s - (self._first_s or 0)) / max(1, self._last)

    def see(self, frame: ReceivedFrame) -> None:
        """Take note of a frame."""
        self.received += 1
        self.unaccounted += abs(frame.frame - self._last - 1 - frame.dropped)
        self._last = frame.frame
        self._first_s = frame.time_s if self._first_s is None else self._first_s
        self._last_s = frame.time_s
        is_file = frame.capture_unix_ns is None
        self.latencies_ms.append(frame.latency_ms if is_file else since_capture_ms(frame))
        if frame.frame >= self._due:  # that very one may be dropped
            self._due = (frame.frame // self._every + 1) * self._every
            self.mib[frame.frame] = round(resident_mib(), 1)
            self.descriptors.append(sum(1 for _ in Path("/proc/self/fd").iterdir()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description="What a long stream with a reader costs: memory, descriptors, frames.",
    )
    add_stream_options(parser, frames=10_000)
    add = parser.add_argument
    add("--weights", metavar="FILE", help="default: those that ship")
    stride_help = "new frames a window (default: 36)"
    add("--stride", type=whole_number, default=36, metavar="S", help=stride_help)
    camera_help = "play the input at its own pace, as a live source"
    add("--camera", action="store_true", help=camera_help)
    add(
        "--limit_mib",
        type=finite_number,
        default=50,
        metavar="M",
        help="growth allowed (default: 50)",
    )
    slack_help = "that a camera's p99 may exceed what is promised by (default: 250)"
    add("--slack_ms", type=finite_number, default=250, metavar="MS", help=slack_help)
    return parser


if __name__ == "__main__":
    sys.exit(main())
