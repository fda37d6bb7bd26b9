"""Where the time goes: what a stage takes by itself, in the code that runs in production."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

Spread = dict[str, float]


def spread(seconds: Sequence[float]) -> Spread:
    """Median, fastest and slowest of some times, in milliseconds."""
    times = 1000 * np.asarray(seconds)
    return {
        "median_ms": float(np.median(times)),
        "min_ms": float(times.min()),
        "max_ms": float(times.max()),
        "count": len(times),
    }


def synchronise(device: torch.device) -> None:
    """Wait until a device has done what this thread's stream, often all threads', asked it for.

    Not for all that it does: that would break a CUDA graph that another thread is recording.
    """
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()


class StageClock:
    """Notes what methods take, without what the timed methods that they call take.

    Args:
        device: What the thread that made the clock asked of it is waited for before and after each
            of its calls. Other threads' calls do not wait: on the stream that all of them share
            they would wait for the network.

    Attributes:
        calls: Seconds of each call by stage, of all threads; of an iterator also of each element.
    """

    def __init__(self, device: torch.device) -> None:
        self.calls: dict[str, list[float]] = defaultdict(list)
        self._device = device
        self._inner = threading.local()
        self._thread = threading.get_ident()

    @contextmanager
    def on(self, methods: Sequence[tuple[object, str, str]]) -> Iterator[None]:
        """Time functions until the context ends, given as (class or module, name, stage)."""
        with ExitStack() as patches:
            for owner, name, stage in methods:
                timed = self._timed(getattr(owner, name), stage)
                patches.enter_context(patch.object(owner, name, timed))
            yield

    def _timed(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @wraps(call)
        def timed(*arguments: Any, **options: Any) -> Any:
            result = self._measure(stage, lambda: call(*arguments, **options))
            return self._iterate(result, stage) if isinstance(result, Iterator) else result

        return timed

    def _iterate(self, iterator: Iterator[Any], stage: str) -> Iterator[Any]:
        """The same elements, each timed; what happens between them is not the iterator's."""
        end = object()
        while (element := self._measure(stage, lambda: next(iterator, end))) is not end:
            yield element

    def _measure(self, stage: str, call: Callable[[], Any]) -> Any:
        self._wait()
        outer = getattr(self._inner, "seconds", 0.0)
        self._inner.seconds = 0.0
        started = time.perf_counter()
        try:
            return call()
        finally:
            self._wait()
            took = time.perf_counter() - started
            self.calls[stage].append(took - self._inner.seconds)
            self._inner.seconds = outer + took

    def _wait(self) -> None:
        if threading.get_ident() == self._thread:
            synchronise(self._device)
