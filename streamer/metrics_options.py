"""What a user can set about metrics; the attribute docstrings are the help texts."""

from __future__ import annotations

from dataclasses import dataclass

from streamer.option_check import check


@dataclass(frozen=True)
class MetricsConfig:
    """Counts and times of the run, for Prometheus."""

    port: int | None = None
    """Serve metrics over HTTP on this port, 0 for a free one. Without it, none are served."""

    host: str = "127.0.0.1"
    """Address to serve them on."""

    def __post_init__(self) -> None:
        check(self.port is None or 0 <= self.port <= 65_535, "metrics.port", self.port, "≤ 65535")
