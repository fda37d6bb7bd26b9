"""``python -m benchmarks.faults``: how soon a lost camera is noticed, and found again.

A real RTSP server shows a clip as a camera would; it is killed and started again, or frozen and
thawed. No network runs: the times are those of the source alone.
"""

from __future__ import annotations

from streamer.installation import FOR_STREAM, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_STREAM)

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from benchmarks.machine import describe
from benchmarks.report import show_report
from benchmarks.rtsp_server import RtspServer
from streamer.argument_types import output_file, whole_number
from streamer.config import SHIPPED_CLIP
from streamer.errors import StreamError
from streamer.exit_codes import command
from streamer.source_config import SourceConfig
from streamer.sources.selection import Selection
from streamer.sources.source import Source
from streamer.sources.source_opening import open_source

SETTINGS = SourceConfig(read_timeout_s=2, reconnect_delay_s=1, reconnect_max_delay_s=4)
SHORT_SIDE = 288
AWAY_S = 3.0
"""How long the camera is away."""

WAIT_S = 60.0


class _Follower(Thread):
    """Reads a source and notes when it was lost, and when a frame came."""

    def __init__(self, source: Source) -> None:
        super().__init__(name="follower", daemon=True)
        self._source = source
        self.lost, self.shown = Event(), Event()
        self.lost_at = self.shown_at = 0.0
        self.error: StreamError | None = None

    def run(self) -> None:
        try:
            for frame in self._source:
                if frame is None:
                    self.lost_at = time.monotonic()
                    self.lost.set()
                elif not self.shown.is_set():
                    self.shown_at = time.monotonic()
                    self.shown.set()
        except StreamError as error:
            self.error = error
            self.lost.set()
            self.shown.set()

    def wait(self, event: Event) -> None:
        """Wait for one of the events.

        Raises:
            StreamError: The source failed, or nothing came.
        """
        if not event.wait(WAIT_S) or self.error is not None:
            raise self.error or StreamError(f"the source did nothing for {WAIT_S} s")


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code: 0; 1 where something fails; 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description="How soon a lost camera is noticed, and found again.",
    )
    times_help = "how often each fault is caused (default: 5)"
    parser.add_argument("--times", type=whole_number, default=5, metavar="N", help=times_help)
    parser.add_argument("--out", type=output_file, metavar="FILE", help="JSON file to write")
    options = parser.parse_args(arguments)
    show_report(measure(options.times), options.out)
    return 0


def measure(times: int) -> dict[str, Any]:
    """Cause each fault so many times in a row, on one source.

    Returns:
        Seconds, median and largest: from the fault to its notice, and from the server's return to
        the first frame; and the settings that bound them.
    """
    machine = describe()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(SHIPPED_CLIP, folder)
        with RtspServer(Path(folder)) as server:
            source = open_source(server.url(SHIPPED_CLIP.name), SETTINGS, Selection(), SHORT_SIDE)
            follower = _Follower(source)
            follower.start()
            try:
                killed = _times_of(times, follower, server.kill, server.start)
                frozen = _times_of(
                    times,
                    follower,
                    lambda: server.send(signal.SIGSTOP),
                    lambda: server.send(signal.SIGCONT),
                )
            finally:
                source.interrupt()
                follower.join(WAIT_S)
                source.close()
    return {
        "machine": machine,
        "times": times,
        "away_s": AWAY_S,
        "read_timeout_s": SETTINGS.read_timeout_s,
        "reconnect_delay_s": SETTINGS.reconnect_delay_s,
        "reconnect_max_delay_s": SETTINGS.reconnect_max_delay_s,
        "killed": killed,
        "frozen": frozen,
    }


def _times_of(
    times: int, follower: _Follower, fail: Callable[[], None], recover: Callable[[], None]
) -> dict[str, list[float]]:
    noticed, back = [], []
    for _ in range(times):
        follower.shown.clear()
        follower.wait(follower.shown)
        # A camera that is lost sooner again is asked at growing intervals.
        time.sleep(SETTINGS.reconnect_max_delay_s + 1)
        follower.lost.clear()
        began = time.monotonic()
        fail()
        follower.wait(follower.lost)
        noticed.append(follower.lost_at - began)
        time.sleep(max(0.0, began + AWAY_S - time.monotonic()))
        follower.shown.clear()
        recover()
        returned = time.monotonic()
        follower.wait(follower.shown)
        back.append(follower.shown_at - returned)
    return {
        "noticed_s": [float(np.median(noticed)), max(noticed)],
        "back_s": [float(np.median(back)), max(back)],
    }


if __name__ == "__main__":
    sys.exit(main())
