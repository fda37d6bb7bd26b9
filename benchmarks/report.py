"""What the benchmarks of a stream share: their options, and how they keep what they found."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamer.argument_types import output_file, whole_number
from streamer.client.received import ReceivedFrame
from streamer.config import SHIPPED_CLIP
from streamer.output_path import write_whole
from streamer.standard_output import say

PERCENTILES = (50, 95, 99)


def add_stream_options(parser: argparse.ArgumentParser, frames: int) -> None:
    """Give a parser the options of what to run on; `frames` is the default of ``--frames``."""
    add = parser.add_argument
    add("--input", default=str(SHIPPED_CLIP), metavar="SOURCE", help="default: the shipped clip")
    frames_help = f"of it (default: {frames:,})"
    add("--frames", type=whole_number, default=frames, metavar="N", help=frames_help)
    device_help = "where the network runs (default: auto, CUDA where there is a device)"
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help=device_help)
    add("--out", type=output_file, metavar="FILE", help="JSON file to write")


def since_capture_ms(frame: ReceivedFrame) -> float:
    """Milliseconds from a live frame's arrival to its receipt by the reader, on one clock."""
    assert frame.capture_unix_ns is not None  # a live source's frames all have it
    return (frame.received_unix_ns - frame.capture_unix_ns) / 1e6


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The 50th, 95th and 99th percentile of at least one value, by ``p50`` and so on."""
    return by_percentile(np.percentile(values, PERCENTILES).tolist())


def by_percentile(found: Sequence[float]) -> dict[str, float]:
    """The three percentiles, by ``p50`` and so on."""
    return dict(zip((f"p{p}" for p in PERCENTILES), found, strict=True))


def show_report(report: Mapping[str, Any], out: Path | None) -> None:
    """Keep a report where a file was named, and print it.

    Raises:
        SinkError: It cannot be written.
    """
    keep_report(report, out)
    say(as_json(report).rstrip())


def as_json(report: Mapping[str, Any]) -> str:
    """A report as it is kept."""
    return json.dumps(report, indent=1) + "\n"


def keep_report(report: Mapping[str, Any], out: Path | None) -> None:
    """Write a report into a file, where one was asked for.

    Raises:
        SinkError: It cannot be written.
    """
    if out is not None:
        write_whole(out, as_json(report).encode("ascii"))
