"""The network alone: the product's windows beside the slow reference's, on the same frames."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, cycle
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.clock import spread, synchronise
from benchmarks.reference import SlowReference
from model import VisTR
from model.preprocess import normalise
from streamer.frame import Frame
from streamer.predictor import VistrPredictor
from streamer.scheduler import WindowScheduler
from streamer.window import Window


class KeepBest(VistrPredictor):
    """Segments a fixed number of slots, whatever their scores: random weights have none.

    Args:
        net: As the product runs it.
        kept: Slots to keep in each window.
    """

    def __init__(self, net: VisTR, kept: int) -> None:
        super().__init__(net, 0.0)
        self._kept = kept

    def _select(self, scores: Tensor, wanted: Tensor) -> list[int]:
        return scores.argsort(descending=True)[: self._kept].tolist()


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
        for the strides, and the speed-up over the reference at the longest stride.
    """
    device = next(product.parameters()).device
    cases = {stride: _windows(product, frames, stride, work.kept) for stride in work.strides}
    times: dict[str, list[float]] = {}
    for number in tqdm(range(1 + work.rounds), desc="network", unit="round"):
        took = {f"stride {stride}": next(windows) for stride, windows in cases.items()}
        if plain is not None:
            took["reference"] = _reference(plain, frames, device)
        if number:  # the first round warms up
            for name, seconds in took.items():
                times.setdefault(name, []).append(seconds)
    rows: dict[str, Any] = {name: spread(seconds) for name, seconds in times.items()}
    for stride in work.strides:
        row = rows[f"stride {stride}"]
        row["ms_per_new_frame"] = row["median_ms"] / stride
        row["fps"] = 1000 / row["ms_per_new_frame"]
    if plain is not None:
        longest = rows[f"stride {max(work.strides)}"]["median_ms"]
        rows["speed_up"] = rows["reference"]["median_ms"] / longest
    return rows


def _windows(net: VisTR, frames: Sequence[Frame], stride: int, kept: int) -> Iterator[float]:
    """Seconds that one full window after the other takes, all but the first in the steady state."""
    predictor = KeepBest(net, kept)
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
    for index, frame in zip(count(), cycle(frames)):
        window = scheduler.add(replace(frame, index=index))
        if window is not None:
            yield window


def _reference(plain: VisTR, frames: Sequence[Frame], device: torch.device) -> float:
    parameter = next(plain.parameters())
    inputs = np.stack([frame.inputs for _, frame in zip(range(plain.frames), cycle(frames))])
    images = normalise(torch.from_numpy(inputs).to(device), parameter.dtype)
    synchronise(device)
    started = time.perf_counter()
    SlowReference(plain)(images)
    synchronise(device)
    return time.perf_counter() - started
