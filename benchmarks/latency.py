"""``python -m benchmarks.latency``: how long after its frame a mask is with a reader.

A clip is replayed at a camera's pace, over and over, as a live source, to a reader in the same
process.
"""

from __future__ import annotations

from streamer.installation import FOR_STREAM, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_STREAM)

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, device_name
from benchmarks.published import run_published
from benchmarks.report import (
    add_stream_options,
    by_percentile,
    percentiles,
    show_report,
    since_capture_ms,
)
from streamer.argument_types import whole_number
from streamer.assembly import load
from streamer.config import StreamConfig
from streamer.exit_codes import command
from streamer.source_config import SourceConfig
from streamer.window_config import WindowConfig


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code: 0; 1 where something fails; 2 for wrong arguments."""
    options = _parser().parse_args(arguments)
    show_report(_measure(options), options.out)
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
    machine = describe()
    net = load(config)
    latencies_ms: list[float] = []
    summary = run_published(net, config, lambda frame: latencies_ms.append(since_capture_ms(frame)))
    report: dict[str, Any] = {
        "machine": machine,
        "device": device_name(next(net.parameters()).device),
        "precision": str(net.dtype),
        "input": Path(options.input).name,
        "stride": options.stride or "auto",
        "frame_step": options.frame_step,
        "frames": summary.frames,
        "dropped": summary.dropped,
        "received": len(latencies_ms),
        "fps": summary.fps,
        "window_ms": by_percentile(summary.window_ms),
    }
    if latencies_ms:
        report["latency_ms"] = percentiles(latencies_ms)
    return report


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
