"""Stages of the network as CUDA graphs: launched at once, not kernel by kernel.

Most of the network's kernels run shorter than Python takes to launch one.
Recorded once for each size of frames, they are replayed by the device alone.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from model.features import FrameFeatures, WindowState
from model.vistr import VisTR

Function = Callable[..., Sequence[Tensor]]

KEPT = 8
"""Recordings of a stage that are kept, one for each shape of its inputs."""

TRIES = 3
"""Recordings of a stage that may fail before no more are made."""

log = logging.getLogger(__name__)


class GraphedVisTR:
    """Stands in for a network that is on CUDA already; for inference, and for one thread.

    The weights may change in place, but not move. What it gives is its caller's own.

    Args:
        net: On its device and in its dtype.
    """

    def __init__(self, net: VisTR) -> None:
        self._net = net
        pool = torch.cuda.graph_pool_handle()
        self._features = GraphedFunction(self._encode, pool)
        self._detections = GraphedFunction(net.detect, pool)
        self._masks = GraphedFunction(lambda *inputs: (net.mask_logits(*inputs),), pool)

    def parameters(self) -> Iterator[Parameter]:
        """Those of the network."""
        return self._net.parameters()

    def encode(self, images: Tensor) -> FrameFeatures:
        """As `VisTR.encode`."""
        projected, *adapted = self._features(images)
        return FrameFeatures(projected, tuple(adapted))

    def relate(self, features: FrameFeatures) -> WindowState:
        """As `VisTR.relate`."""
        # Positions go in: those that a recording had read by itself could be gone later.
        positions = self._net.positions(features)
        logits, boxes, embeddings, memory = self._detections(features.projected, positions)
        return WindowState(logits, boxes, embeddings, memory, features)

    def segment(self, state: WindowState, slots: Sequence[int]) -> Tensor:
        """As `VisTR.segment`, a slot at a time: one recording serves any number of them."""
        self._net.check_slots(slots)
        if not slots:
            return self._net.segment(state, [])
        shared = (self._net.mask_head.context(state.memory), state.memory, *state.features.adapted)
        masks = [self._masks(state.embeddings[:, slot : slot + 1], *shared)[0] for slot in slots]
        return torch.cat(masks)[:, 0].transpose(0, 1)

    def _encode(self, images: Tensor) -> tuple[Tensor, ...]:
        features = self._net.encode(images)
        return features.projected, *features.adapted


@dataclass(frozen=True, slots=True, eq=False)
class _Recording:
    """A graph, where it reads and where it writes."""

    graph: torch.cuda.CUDAGraph
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]


class GraphedFunction:
    """A function of CUDA tensors, recorded when it first meets their shapes, replayed from then on.

    A recording fails where another thread waits for the whole device meanwhile, or for want of
    memory. Then the function is called like any other, and recording is tried again at the next.

    Args:
        function: It must not wait for the device, nor read tensors that may be freed.
        pool: A handle of the recordings' memory; those that never run at once may share it.
    """

    def __init__(self, function: Function, pool: Any) -> None:
        self._function = function
        self._pool = pool
        self._recordings: dict[tuple[torch.Size, ...], _Recording] = {}
        self._tries = TRIES

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        """What the function gives, in tensors of the caller's."""
        shapes = tuple(tensor.shape for tensor in inputs)
        recording = self._recordings.pop(shapes, None) or self._try_to_record(inputs)
        if recording is None:
            return self._function(*inputs)
        self._recordings[shapes] = recording  # the newest last
        if len(self._recordings) > KEPT:
            del self._recordings[next(iter(self._recordings))]
        for held, given in zip(recording.inputs, inputs, strict=True):
            held.copy_(given)
        recording.graph.replay()
        # The next recording that shares the pool may write where this one did.
        return [output.clone() for output in recording.outputs]

    def _try_to_record(self, inputs: Sequence[Tensor]) -> _Recording | None:
        if not self._tries:
            return None
        stream = torch.cuda.current_stream()
        try:
            return self._record(inputs)
        except RuntimeError as error:
            torch.cuda.set_stream(stream)  # PyTorch leaves that of the recording
            self._pool = torch.cuda.graph_pool_handle()  # nor is the old one to be trusted
            self._tries -= 1
            reason = (str(error).strip() or repr(error)).splitlines()[0]
            log.warning(
                "recording a CUDA graph failed (%d tries left), going on without: %s",
                *(self._tries, reason),
            )
            return None

    def _record(self, inputs: Sequence[Tensor]) -> _Recording:
        started = time.perf_counter()
        held = [tensor.clone() for tensor in inputs]
        self._function(*held)  # libraries set themselves up, which cannot be recorded
        graph = torch.cuda.CUDAGraph()
        # Other threads, of other streams, go on using the device meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            outputs = self._function(*held)
        took = time.perf_counter() - started
        log.debug("recorded a CUDA graph for %s in %.2f s", list(inputs[0].shape), took)
        return _Recording(graph, held, outputs)
