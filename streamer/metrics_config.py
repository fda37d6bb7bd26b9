"""What a user can set about metrics; the attribute docstrings are the help texts."""

from __future__ import annotations

from dataclasses import dataclass

from streamer.option_check import check, check_positive


@dataclass(frozen=True)
class MetricsConfig:
    """Health of the run: counts and times for Prometheus, and stages that stand still."""

    port: int | None = None
    """Serve metrics over HTTP on this port, 0 for a free one. Without it, none are served."""

    host: str = "127.0.0.1"
    """Address to serve them on."""

    stall_s: float = 30.0
    """Seconds without a move after which the source, the network or an output is said to be
    stalled, in the log and in the metrics."""

    def __post_init__(self) -> None:
        fits = self.port is None or 0 <= self.port <= 65_535
        check(fits, "metrics.port", self.port, "from 0 to 65535")
        check_positive("metrics.stall_s", self.stall_s)
