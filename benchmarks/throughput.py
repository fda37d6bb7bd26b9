"""``python -m benchmarks.throughput``: how fast the network and the stream are on this machine.

In one process, on the same frames and weights: windows of the product at several strides beside
windows of the slow reference, then the whole stream with a clock on each stage. Prints a table and,
with ``--out``, writes JSON.
"""

from __future__ import annotations

from streamer.installation import FOR_STREAM, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_STREAM)

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import torch

from benchmarks.machine import describe, device_name
from benchmarks.memory import peak_mib, reset_peak
from benchmarks.network_speed import Workload, network_rows
from benchmarks.report import add_stream_options, keep_report
from benchmarks.stream_speed import stream_rows
from model import LIGHT, RESNET50, RESNET101, VisTR, load_vistr, save_vistr
from model.initialise import random_tensors
from streamer.argument_types import whole_number
from streamer.assembly import load
from streamer.config import Precision, StreamConfig
from streamer.device import device_errors
from streamer.errors import ConfigError
from streamer.exit_codes import command
from streamer.frame import Frame
from streamer.sources.selection import Selection
from streamer.sources.source_opening import open_source
from streamer.standard_output import say

ARCHITECTURES = {"light": LIGHT, "r50": RESNET50, "r101": RESNET101}


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code: 0; 1 where something fails; 2 for wrong arguments."""
    options = _parser().parse_args(arguments)
    with _weights(options) as weights:
        report = _measure(options, weights)
    keep_report(report, options.out)
    say("\n".join(_table(report)))
    return 0


def _measure(options: argparse.Namespace, weights: str | None) -> dict[str, Any]:
    config = StreamConfig(
        input=options.input,
        weights=weights,
        device=options.device,
        precision=options.precision,
        max_frames=options.frames,
    )
    reset_peak()
    net = load(config)
    too_long = [stride for stride in options.strides if stride > net.frames]
    if too_long:
        raise ConfigError(f"strides has {too_long[0]}, the window of the weights is {net.frames}")
    device = next(net.parameters()).device
    frames = _frames(config, net)
    work = Workload(min(options.kept, net.slots), options.strides, options.rounds)
    report: dict[str, Any] = {
        "machine": describe(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "precision": str(net.dtype),
        "backbone precision": str(next(net.parameters()).dtype),
        "weights": f"random {options.random}" if options.random else weights or "default",
        "input": {"frame": frames[0].image.shape[:2], "network": frames[0].inputs.shape[:2]},
        "kept": work.kept,
    }
    report["stream"] = stream_rows(net, config, options.strides, work.kept)
    report["peak_mib"] = peak_mib(device)
    plain = None
    if not options.no_reference:
        with device_errors(device, "while loading the reference", "--no_reference leaves it out"):
            plain = load_vistr(weights).to(device)
    report["network"] = network_rows(net, plain, frames, work)
    return report


def _frames(config: StreamConfig, net: VisTR) -> list[Frame]:
    """The first frames of the input, a window's worth or what there is."""
    selection = Selection(config.start, config.duration, config.max_frames, config.region())
    source = open_source(str(config.input), config.source, selection, net.short_side)
    try:
        return [frame for frame in islice(source, net.frames) if frame is not None]
    finally:
        source.close()


@contextmanager
def _weights(options: argparse.Namespace) -> Iterator[str | None]:
    """The file of the weights; None for the default. Random ones are written for as long."""
    if options.random is None:
        yield options.weights
        return
    architecture = ARCHITECTURES[options.random]
    net = VisTR(architecture, trained=True)
    net.load_state_dict(random_tensors(architecture, 0))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "random.safetensors"
        save_vistr(net, path)
        yield str(path)


def _table(report: Mapping[str, Any]) -> Iterator[str]:
    """The report as Markdown."""
    shown = ("machine", "device", "threads", "precision", "backbone precision")
    for key in (*shown, "weights", "input", "kept"):
        yield f"{key}: {report[key]}"
    yield f"peak memory of the stream: {report['peak_mib']} MiB"
    yield ""
    yield "| network | window, ms (median, fastest to slowest) | a new frame, ms | frames/s |"
    yield "|---|---|---|---|"
    for name, row in report["network"].items():
        if name == "speed_up":
            continue
        times = f"{row['median_ms']:.1f} ({row['min_ms']:.1f} to {row['max_ms']:.1f})"
        frame = f"{row['ms_per_new_frame']:.2f} | {row['fps']:.1f}" if "fps" in row else "- | -"
        yield f"| {name} | {times} | {frame} |"
    if "speed_up" in report["network"]:
        yield f"\nThe longest stride is {report['network']['speed_up']:.1f} times the reference."
    rows = report["stream"]
    stages = list(next(iter(rows.values()))["ms_per_frame"])
    yield ""
    yield "| stream, ms a frame | frames/s | " + " | ".join(stages) + " |"
    yield "|---" * (len(stages) + 2) + "|"
    for name, row in rows.items():
        times = " | ".join(f"{row['ms_per_frame'][stage]:.2f}" for stage in stages)
        fps = "-" if row["fps"] is None else f"{row['fps']:.1f}"
        yield f"| {name} | {fps} | {times} |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description="How fast the network and the stream are, beside a slow reference.",
    )
    add_stream_options(parser, frames=144)
    add = parser.add_argument
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument("--weights", metavar="FILE", help="default: those that ship")
    weights.add_argument("--random", choices=ARCHITECTURES, help="random weights")
    precision_help = "of the network, as of vistr-stream (default: auto)"
    add("--precision", default="auto", choices=get_args(Precision), help=precision_help)
    add("--kept", type=whole_number, default=3, metavar="K", help="slots segmented (default: 3)")
    strides_help = "new frames a window, each measured (default: 36,18,12,6)"
    add("--strides", type=_strides, default=(36, 18, 12, 6), metavar="S,…", help=strides_help)
    add("--rounds", type=whole_number, default=5, metavar="N", help="times of each (default: 5)")
    add("--no_reference", action="store_true", help="leave the slow reference out")
    return parser


def _strides(text: str) -> tuple[int, ...]:
    return tuple(whole_number(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
