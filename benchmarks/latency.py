"""``python -m benchmarks.latency``: how long after its frame a mask is with a reader.

A clip is replayed at a camera's pace, over and over, as a live source, to a reader on loopback.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from benchmarks.published import run_published
from benchmarks.report import add_stream_options, as_json, keep_report
from streamer.argument_types import whole_number
from streamer.assembly import load
from streamer.client.received import ReceivedFrame
from streamer.config import StreamConfig
from streamer.errors import StreamError
from streamer.source_options import SourceConfig
from streamer.window_options import WindowConfig

PERCENTILES = (50, 95, 99)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code: 0; 1 where something fails; 2 for wrong arguments."""
    options = _parser().parse_args(arguments)
    try:
        report = _measure(options)
        print(as_json(report), end="")
        keep_report(report, options.out)
    except StreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    config = StreamConfig(
        input=options.input,
        weights=options.weights,
        device=options.device,
        max_frames=options.frames,
        window=WindowConfig(stride=options.stride or "auto", frame_step=options.frame_step),
        source=SourceConfig(live=True, realtime=True, loop=True),
    )
    net = load(config)
    latencies_ms: list[float] = []
    summary = run_published(net, config, lambda frame: latencies_ms.append(_latency_ms(frame)))
    report: dict[str, Any] = {
        "machine": describe(),
        "device": str(next(net.parameters()).device),
        "precision": str(next(net.parameters()).dtype),
        "input": Path(options.input).name,
        "stride": options.stride or "auto",
        "frame_step": options.frame_step,
        "frames": summary.frames,
        "dropped": summary.dropped,
        "received": len(latencies_ms),
        "fps": summary.fps,
        "window_ms": summary.window_ms,
    }
    if latencies_ms:
        values = np.percentile(latencies_ms, PERCENTILES).tolist()
        report["latency_ms"] = dict(zip((f"p{p}" for p in PERCENTILES), values, strict=True))
    return report


def _latency_ms(frame: ReceivedFrame) -> float:
    """Milliseconds from a frame's arrival to its receipt by the reader, on one clock."""
    assert frame.capture_unix_ns is not None  # a live source's frames all have it
    return (frame.received_unix_ns - frame.capture_unix_ns) / 1e6


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.latency",
        description="How long after its frame a mask is with a reader, at a camera's pace.",
    )
    add_stream_options(parser, frames=600)
    add = parser.add_argument
    add("--weights", metavar="FILE", help="default: those that ship")
    add("--stride", type=whole_number, metavar="S", help="new frames a window (default: auto)")
    add("--frame_step", type=whole_number, default=1, metavar="K", help="only every K-th frame")
    return parser


if __name__ == "__main__":
    sys.exit(main())
