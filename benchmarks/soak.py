"""``python -m benchmarks.soak``: whether memory stays flat over a long stream with a reader.

The input is played again and again; the resident set is read as its frames arrive.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.memory import resident_mib
from benchmarks.published import run_published
from benchmarks.report import add_stream_options, as_json, keep_report
from streamer.argument_types import whole_number
from streamer.assembly import load
from streamer.client.received import ReceivedFrame
from streamer.config import StreamConfig, WindowConfig
from streamer.errors import ConfigError, StreamError
from streamer.source_options import SourceConfig

READINGS = 50
"""Of the resident set, over the whole run."""

WARM_UP = 10
"""Of the readings, the last of which is what later ones are compared with."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code: 0; 1 where something fails or memory grew too much."""
    options = _parser().parse_args(arguments)
    try:
        report = _measure(options)
        print(as_json(report), end="")
        keep_report(report, options.out)
    except StreamError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0 if report["growth_mib"] <= options.limit_mib else 1


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    if options.frames <= READINGS:
        raise ConfigError(f"frames is {options.frames}, expected more than {READINGS}")
    config = StreamConfig(
        input=options.input,
        weights=options.weights,
        device=options.device,
        max_frames=options.frames,
        window=WindowConfig(stride=options.stride),
        source=SourceConfig(loop=True),
    )
    net = load(config)
    every = options.frames // READINGS
    readings: dict[int, float] = {}

    def read(frame: ReceivedFrame) -> None:
        if frame.frame % every == 0:
            readings[frame.frame] = round(resident_mib(), 1)

    summary = run_published(net, config, read)
    after_warm_up = [mib for index, mib in readings.items() if index >= WARM_UP * every]
    return {
        "machine": describe(),
        "device": str(next(net.parameters()).device),
        "input": Path(options.input).name,
        "stride": options.stride,
        "frames": summary.frames,
        "dropped": summary.dropped,
        "fps": summary.fps,
        "growth_mib": round(max(after_warm_up) - after_warm_up[0], 1),
        "resident_mib": readings,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description="Whether memory stays flat over a long stream with a reader.",
    )
    add_stream_options(parser, frames=10_000)
    add = parser.add_argument
    add("--weights", metavar="FILE", help="default: those that ship")
    add("--stride", type=whole_number, default=36, metavar="S", help="new frames a window")
    add("--limit_mib", type=float, default=50, metavar="M", help="growth allowed (default: 50)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
