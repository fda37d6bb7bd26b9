"""What a terminal shows while a run goes on."""

from __future__ import annotations

from tqdm import tqdm

from streamer.output import FrameResult
from streamer.pipeline import Pipeline


class Progress:
    """A progress bar for files (frames, rate, time left), a status line for live sources.

    Args:
        pipeline: Whose counts to show.
        expected_frames: Length of the bar; None where unknown.
        quiet: Show nothing; nor is anything shown where standard error is no terminal, such as a
            log file, which a line that is drawn anew would fill.
        latency: Show the latency, too.
    """

    def __init__(
        self, pipeline: Pipeline, expected_frames: int | None, *, quiet: bool, latency: bool
    ) -> None:
        self._pipeline = pipeline
        self._latency = latency
        self._bar = tqdm(
            total=expected_frames,
            unit="frame",
            disable=quiet or None,
            dynamic_ncols=True,
            mininterval=0.5,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def show(self, result: FrameResult) -> None:
        """Count a result."""
        if self._bar.update():  # true when it redraws: summing up for every frame would be waste
            summary = self._pipeline.summary()
            shown: dict[str, object] = {
                "objects": len(result.instances),
                "tracks": summary.tracks,
                "dropped": summary.dropped,
            }
            if self._latency:
                shown["latency"] = f"{summary.latency_ms[0]:.0f}ms"
            self._bar.set_postfix(shown, refresh=False)
