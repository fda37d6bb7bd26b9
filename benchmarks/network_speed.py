"""The network alone: the product's windows beside the slow reference's, on the same frames."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.clock import spread, synchronise
from benchmarks.reference import slow_reference
from model import VisTR
from model.preprocess import normalise
from streamer.allocator import keep_little, keep_memory
from streamer.device import device_errors
from streamer.frame import Frame
from streamer.frame_features import stack_inputs
from streamer.predictor import VistrPredictor
from streamer.scheduler import WindowScheduler
from streamer.window import Window


def keep_best(kept: int) -> AbstractContextManager[object]:
    """While in this context, predictors segment so many slots whatever their scores.

    Random weights have no slot that is worth it.
    """

    def select(_: VistrPredictor, scores: Tensor, __: Tensor) -> list[int]:
        return scores.argsort(descending=True)[:kept].tolist()

    return patch.object(VistrPredictor, "_select", select)


@dataclass(frozen=True, slots=True)
class Workload:
    """What is measured.

    Attributes:
        kept: Slots that are segmented in each window.
        strides: New frames per window, each a case of its own.
        rounds: How often each case is timed.
    """

    kept: int
    strides: tuple[int, ...]
    rounds: int


def network_rows(
    product: VisTR, plain: VisTR | None, frames: Sequence[Frame], work: Workload
) -> dict[str, Any]:
    """Times of windows, the cases taking turns so that a machine's moods meet them all.

    Args:
        product: As the product runs it.
        plain: The same weights for the reference, neither folded nor rounded; None leaves it out.
        frames: Of one size, repeated for as long as it takes.
        work: What to measure.

    Returns:
        For ``reference`` and each stride the spread of the window's time, with that of a new frame
        for the strides, and the speed-up over the reference at the longest stride. On CUDA the
        strides come twice, with CUDA graphs and without.
    """
    device = next(product.parameters()).device
    ways = {"": True, ", no graphs": False} if device.type == "cuda" else {"": False}
    cases = {
        f"stride {stride}{way}": (stride, _windows(product, frames, stride, graphs=graphs))
        for way, graphs in ways.items()
        for stride in work.strides
    }
    times: dict[str, list[float]] = {}
    for number in tqdm(range(1 + work.rounds), desc="network", unit="round", disable=None):
        with keep_best(work.kept):
            next(next(iter(cases.values()))[1])  # not timed: the reference let go of memory
            took = {name: next(windows) for name, (_, windows) in cases.items()}
        if plain is not None:
            took["reference"] = _reference(plain, frames, device)
        if number:  # the first round warms up
            for name, seconds in took.items():
                times.setdefault(name, []).append(seconds)
    rows: dict[str, Any] = {name: spread(seconds) for name, seconds in times.items()}
    for name, (stride, _) in cases.items():
        row = rows[name]
        row["ms_per_new_frame"] = row["median_ms"] / stride
        row["fps"] = 1000 / row["ms_per_new_frame"]
    if plain is not None:
        longest = rows[f"stride {max(work.strides)}"]["median_ms"]
        rows["speed_up"] = rows["reference"]["median_ms"] / longest
    return rows


def _windows(net: VisTR, frames: Sequence[Frame], stride: int, *, graphs: bool) -> Iterator[float]:
    """Seconds that one full window after the other takes, all but the first in the steady state."""
    predictor = VistrPredictor(net, threshold=0.0, graphs=graphs)
    device = next(net.parameters()).device
    for window in _full_windows(frames, net.frames, stride):
        synchronise(device)
        started = time.perf_counter()
        predictor.predict(window)
        synchronise(device)
        took = time.perf_counter() - started
        if len(window.new) == stride:  # a first window has more
            yield took


def _full_windows(frames: Sequence[Frame], size: int, stride: int) -> Iterator[Window]:
    scheduler = WindowScheduler(size, stride)
    for index, frame in enumerate(cycle(frames)):
        window = scheduler.add(replace(frame, index=index))
        if window is not None:
            yield window


def _reference(plain: VisTR, frames: Sequence[Frame], device: torch.device) -> float:
    parameter = next(plain.parameters())
    inputs = [frame.inputs for frame in islice(cycle(frames), plain.frames)]
    # As the published code finds things: the product has changed them for the whole process.
    cudnn = torch.backends.cudnn
    rounds, cudnn.allow_tf32 = cudnn.allow_tf32, True
    keep_little()
    synchronise(device)
    started = time.perf_counter()
    try:
        with device_errors(device, "in the slow reference", "--no_reference leaves it out"):
            slow_reference(plain, normalise(stack_inputs(inputs, device), parameter.dtype))
            synchronise(device)
    finally:
        cudnn.allow_tf32 = rounds
        keep_memory()
    return time.perf_counter() - started
