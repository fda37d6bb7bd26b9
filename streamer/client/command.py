"""A reader for the command line: ``python -m streamer.client``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from math import inf
from pathlib import Path

import numpy as np

from streamer.argument_types import folder_name, whole_number
from streamer.client.label_map_folder import LabelMapFolder
from streamer.client.received import ReceivedFrame
from streamer.client.subscriber import MaskSubscriber
from streamer.errors import ConfigError, StreamError, WireError
from streamer.exit_codes import command
from streamer.printable import counted
from streamer.wire.curve import ReaderKeys

log = logging.getLogger(__name__)

LATENCIES = 10_000
"""Most recent latencies that the summary is made of: a live stream has no end."""


def describe(frame: ReceivedFrame) -> str:
    """One line about a frame: what is in it, its latency, and what was lost before it."""
    objects = ", ".join(
        f"#{instance.track_id} {_printable(instance.category)} {instance.score:.2f}"
        for instance in frame.instances
    )
    line = f"frame {frame.frame}  {frame.time_s:.3f} s  {objects or '-'}  {frame.latency_ms:.1f} ms"
    line += "  interpolated" if frame.interpolated else ""
    line += f"  dropped {frame.dropped}" if frame.dropped else ""
    return line + (f"  lost {frame.lost}" if frame.lost else "")


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Read a stream and print a line per frame; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    return _read(options)


def _read(options: argparse.Namespace) -> int:
    folder = None if options.save is None else LabelMapFolder(options.save)
    latencies_ms: deque[float] = deque(maxlen=LATENCIES)
    frames = 0
    with MaskSubscriber(
        options.endpoint,
        options.stream,
        pattern=options.pattern,
        timeout_s=options.timeout_s,
        keys=_keys(options),
    ) as subscriber:
        try:
            for frame in islice(subscriber, options.count):
                frames += 1
                latencies_ms.append(frame.latency_ms)
                if folder is not None:
                    _save(frame, folder)
                print(describe(frame), flush=True)
        finally:
            for line in _summary(subscriber, frames, latencies_ms):
                print(line)
    if subscriber.end is not None and subscriber.end.reason == "failed":
        raise StreamError(f"{options.endpoint}: the publisher failed")
    return 0


def _save(frame: ReceivedFrame, folder: LabelMapFolder) -> None:
    try:
        folder.write(frame)
    except WireError as error:
        log.warning("frame %d is not saved: %s", frame.frame, error)


def _keys(options: argparse.Namespace) -> ReaderKeys | None:
    if (options.curve_key is None) != (options.publisher_key is None):
        raise ConfigError("--curve_key and --publisher_key are of use together alone")
    return options.curve_key and ReaderKeys(options.curve_key, options.publisher_key)


def _summary(subscriber: MaskSubscriber, frames: int, latencies_ms: deque[float]) -> Iterator[str]:
    lost = counted(subscriber.lost, "message")
    line = f"{counted(frames, 'frame')}, {lost} lost, {subscriber.malformed} malformed"
    if subscriber.end is not None:
        dropped = counted(subscriber.end.dropped, "frame")
        line += f", stream over ({subscriber.end.reason}), {dropped} dropped"
    yield line
    if latencies_ms:
        p50, p95, p99 = np.percentile(list(latencies_ms), [50, 95, 99])
        yield f"latency p50/p95/p99 {p50:.1f}/{p95:.1f}/{p99:.1f} ms (published to received)"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m streamer.client", description="Print, and save, the masks of a stream."
    )
    add = parser.add_argument
    add("endpoint", help="where the publisher is, such as tcp://127.0.0.1:5555")
    add("--stream", metavar="NAME", help="name of the stream (default: whatever comes)")
    add(
        "--pattern",
        choices=("sub", "pull"),
        default="sub",
        help="sub for a publisher with zmq.pattern pub, pull for push (default: sub)",
    )
    add(
        "--save",
        metavar="DIR",
        type=folder_name,
        help="write label maps there: pixels are track ids",
    )
    add(
        "--timeout_s",
        metavar="S",
        type=_seconds,
        help="give up after this many seconds without a sign of life (default: never)",
    )
    add(
        "--curve_key",
        metavar="FILE",
        type=Path,
        help="this reader's secret key, NAME.key_secret of python -m streamer.keys, for a "
        "publisher with zmq.curve_key",
    )
    add("--publisher_key", metavar="FILE", type=Path, help="the publisher's public key (NAME.key)")
    add("--count", metavar="N", type=whole_number, help="stop after this many frames")
    return parser


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0 < (seconds := float(text)) < inf:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is no positive number of seconds")


def _printable(text: str) -> str:
    """Text from the wire without what could steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
