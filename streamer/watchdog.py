"""Says which stage of a run has stopped moving."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Self

from streamer.exit_codes import describe
from streamer.pipeline import Pipeline
from streamer.sinks.sink import SinkThread

LOOKS = 10
"""How often a stage is looked at in the time after which it counts as stalled."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Stage:
    moved: int
    moved_at: float
    stalled: bool = False


class Watchdog:
    """Looks at a run from a thread of its own, and logs a stage that stalls, and that it goes on.

    The source stalls while it gives no frame although there is room, also while it is tried again;
    the network, while frames wait, it takes none and no output is full; an output, while results
    wait and it takes none. Nothing is ended here: a live source that gives nothing is left behind
    and opened again by `streamer.sources.patient_media`, and waiting for the others is what they
    are there for.

    Args:
        pipeline: The run's.
        sinks: Its outputs.
        stall_s: Seconds without a move that make a stall.
    """

    def __init__(self, pipeline: Pipeline, sinks: Sequence[SinkThread], stall_s: float) -> None:
        self._pipeline = pipeline
        self._sinks = sinks
        self._stall_s = stall_s
        self._stages: dict[str, _Stage] = {}
        self._done = Event()
        self._thread = Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self.look(time.monotonic())  # so that whoever asks hears of all stages from now on
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def stalled(self) -> Mapping[str, bool]:
        """Whether each stage is stalled, by name; from any thread."""
        return {name: stage.stalled for name, stage in self._stages.copy().items()}

    def look(self, now: float) -> None:
        """Compare with the look before.

        Args:
            now: Seconds, as `time.monotonic` counts them.
        """
        for name, (moved, has_work) in self._moves().items():
            stage = self._stages.setdefault(name, _Stage(moved, now))
            if moved != stage.moved or not has_work:
                if stage.stalled and moved != stage.moved:
                    log.warning("%s: goes on after %.0f s", name, now - stage.moved_at)
                stage.moved, stage.moved_at, stage.stalled = moved, now, False
            elif not stage.stalled and now - stage.moved_at >= self._stall_s:
                stage.stalled = True
                log.warning("%s: has not moved for %.0f s", name, now - stage.moved_at)

    def _moves(self) -> dict[str, tuple[int, bool]]:
        """How far each stage has come, and whether there is anything for it to do."""
        counts, waiting = self._pipeline.counts(), self._pipeline.waiting
        # Results go to the outputs on the network's thread, which waits for a full one.
        is_held = any(sink.is_full for sink in self._sinks)
        taken = counts.decoded - counts.dropped - waiting
        moves = {
            "source": (counts.decoded, not self._pipeline.is_source_idle),
            "network": (taken, waiting > 0 and not is_held),
        }
        for sink in self._sinks:
            moves[sink.name] = (sink.taken, sink.waiting > 0)
        return moves

    def _run(self) -> None:
        while not self._done.wait(self._stall_s / LOOKS):
            try:
                self.look(time.monotonic())
            except Exception as error:  # such as no memory: the next look may succeed
                log.warning("cannot look at the stages: %s", describe(error))
