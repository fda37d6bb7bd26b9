"""Metrics, scraped over HTTP as Prometheus does."""

from __future__ import annotations

import logging
import socket
import struct
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamer import cli
from streamer import metrics as metrics_module
from streamer.errors import ConfigError, SinkError
from streamer.metrics import Metrics
from streamer.metrics_config import MetricsConfig
from streamer.run import Run
from streamer.sinks.sink import SinkThread
from streamer.watchdog import Watchdog
from tests.clips import make_clip
from tests.fakes import FakeSink, FakeSource, OneObject
from tests.pipelines import INFO, pipeline, running
from tests.waits import PATIENCE_S, until

Samples = dict[tuple[str, str], float]


def scrape(metrics: Metrics) -> Samples:
    """Values by name and the label that is not the stream's."""
    host, port = metrics.address
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=PATIENCE_S) as answer:
        text = answer.read().decode()
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = dict(sample.labels)
            if sample.name.startswith("vistr_"):
                assert labels.pop("stream") == "cam"
            samples[sample.name, "".join(labels.values())] = sample.value
    return samples


def test_a_scrape_tells_what_the_run_counted() -> None:
    sink = SinkThread("sink", FakeSink)
    sink.start()
    whole = pipeline(FakeSource(40), OneObject())
    seen: list[Samples] = []
    with Metrics(MetricsConfig(port=0), "cam") as metrics:
        before = scrape(metrics)
        watchdog = Watchdog(whole, [sink], stall_s=1)
        metrics.watch(whole, [sink], watchdog)

        def look(_: object) -> None:
            if not seen:
                seen.append(scrape(metrics))

        summary = Run(whole, [sink], INFO, [metrics.observe, look]).execute()
        watchdog.look(0)
        after = scrape(metrics)
    assert ("vistr_frames_decoded_total", "") not in before
    assert before["process_open_fds", ""] > 0
    assert before["process_resident_memory_bytes", ""] > 1e6
    assert seen[0]["vistr_frames_published_total", ""] >= 1
    assert seen[0]["vistr_frame_latency_seconds_count", ""] == 1
    assert seen[0]["vistr_queue_depth", "decoder"] <= 4
    assert after["vistr_frames_decoded_total", ""] == 40
    assert after["vistr_frames_published_total", ""] == summary.frames == 40
    assert after["vistr_frames_dropped_total", ""] == 0
    assert after["vistr_source_reconnects_total", ""] == 0
    assert after["vistr_packets_corrupt_total", ""] == 0
    assert after["vistr_tracks_total", ""] == summary.tracks == 1
    assert after["vistr_window_seconds_count", ""] == summary.windows == 9
    assert after["vistr_window_seconds_sum", ""] > 0
    assert after["vistr_frame_latency_seconds_count", ""] == 40
    assert after["vistr_frame_latency_seconds_bucket", "+Inf"] == 40
    assert after["vistr_queue_depth", "decoder"] == 0
    assert after["vistr_queue_depth", "sink"] == 0
    stages = [label for name, label in after if name == "vistr_stage_stalled"]
    assert stages == ["source", "network", "sink"]
    assert all(after["vistr_stage_stalled", stage] == 0 for stage in stages)


def test_an_output_whose_path_is_no_unicode_is_told_of() -> None:
    sink = SinkThread("mp4 caf\udce9.mp4", FakeSink)
    whole = pipeline(FakeSource(4), OneObject())
    with Metrics(MetricsConfig(port=0), "cam") as metrics:
        watchdog = Watchdog(whole, [sink], stall_s=1)
        metrics.watch(whole, [sink], watchdog)
        watchdog.look(0)
        samples = scrape(metrics)
    assert samples["vistr_queue_depth", "mp4 caf\ufffd.mp4"] == 0
    assert samples["vistr_stage_stalled", "mp4 caf\ufffd.mp4"] == 0


def test_what_was_lost_is_told_by_metrics_and_summary_alike() -> None:
    source, predictor = FakeSource(100, "blocks"), OneObject("blocks")
    source.counts.corrupt, source.counts.reconnects = 3, 2
    whole = pipeline(source, predictor, overflow="drop_oldest")
    with Metrics(MetricsConfig(port=0), "cam") as metrics:
        metrics.watch(whole, [], Watchdog(whole, [], stall_s=1))
        with running(whole) as done:
            # It has given all, to a window that takes for ever.
            assert source.blocked.wait(PATIENCE_S)
            predictor.release.set()
            source.interrupt()
        summary, after = done.result(), scrape(metrics)
    assert after["vistr_packets_corrupt_total", ""] == summary.corrupt == 3
    assert after["vistr_source_reconnects_total", ""] == summary.reconnects == 2
    assert after["vistr_frames_dropped_total", ""] == summary.dropped >= 80


def test_a_run_that_does_not_come_to_begin_is_told() -> None:
    with Metrics(MetricsConfig(port=0, stall_s=1e-6), "cam") as metrics:
        assert scrape(metrics)["vistr_stage_stalled", "start"] == 1
        whole = pipeline(FakeSource(1), OneObject())
        metrics.watch(whole, [], Watchdog(whole, [], stall_s=1))
        assert ("vistr_stage_stalled", "start") not in scrape(metrics)
    with Metrics(MetricsConfig(port=0), "cam") as metrics:
        assert scrape(metrics)["vistr_stage_stalled", "start"] == 0


def test_who_connects_and_asks_for_nothing_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "REQUEST_S", 0.05)
    with (
        Metrics(MetricsConfig(port=0), "cam") as metrics,
        socket.create_connection(metrics.address, PATIENCE_S) as silent,
    ):
        assert silent.recv(1) == b""


def test_connections_are_bounded_and_the_oldest_gives_way() -> None:
    with Metrics(MetricsConfig(port=0), "cam") as metrics, ExitStack() as held:
        talkers = [
            held.enter_context(socket.create_connection(metrics.address, PATIENCE_S))
            for _ in range(metrics_module.MAX_CONNECTIONS + 3)
        ]
        for oldest in talkers[:3]:
            assert oldest.recv(1) == b""
        assert scrape(metrics)["vistr_stage_stalled", "start"] == 0  # which ends a fourth
        assert talkers[3].recv(1) == b""
        for other in talkers[4:]:
            other.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert other.recv(4) == b"HTTP"


def test_connections_that_break_are_no_news(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(metrics_module, "REQUEST_S", 0.05)
    caplog.set_level(logging.DEBUG, "streamer.metrics")
    with Metrics(MetricsConfig(port=0), "cam") as metrics:
        with socket.create_connection(metrics.address, PATIENCE_S) as reset:
            at_once = struct.pack("ii", 1, 0)
            reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        with socket.create_connection(metrics.address, PATIENCE_S) as silent:
            assert silent.recv(1) == b""
        until(lambda: sum("127.0.0.1" in text for text in debugged(caplog)) == 2)
    assert capsys.readouterr().err == ""


def debugged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.DEBUG]


def test_nothing_is_served_where_the_beginning_is_interrupted() -> None:
    ports: list[int] = []

    def interrupt(record: logging.LogRecord) -> bool:
        assert isinstance(record.args, tuple)
        ports.extend(port for port in record.args if isinstance(port, int))
        raise KeyboardInterrupt

    log = logging.getLogger("streamer.metrics")
    log.addFilter(interrupt)
    log.setLevel(logging.INFO)
    try:
        with pytest.raises(KeyboardInterrupt):
            Metrics(MetricsConfig(port=0), "cam")
    finally:
        log.removeFilter(interrupt)
        log.setLevel(logging.NOTSET)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports[0]), 5).close()


def test_nothing_is_served_after_the_end() -> None:
    with Metrics(MetricsConfig(port=0), "cam") as metrics:
        address = metrics.address
    with pytest.raises(ConnectionRefusedError), socket.create_connection(address, 5):
        pass


def test_the_command_line_serves_them(
    tmp_path: Path,
    weights: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_clip(tmp_path / "clip.mp4", frames=12)
    served: list[Samples] = []
    close = Metrics.__exit__

    def scrape_first(metrics: Metrics, *error: object) -> None:
        served.append(scrape(metrics))
        close(metrics, *error)

    monkeypatch.setattr(Metrics, "__exit__", scrape_first)
    arguments = ["--weights", weights, "--stream", "cam"]
    code = cli.main([str(tmp_path / "clip.mp4"), *arguments, "--metrics.port", "0"])
    assert code == 0
    assert served[0]["vistr_frames_published_total", ""] == 12
    assert served[0]["vistr_frame_latency_seconds_count", ""] == 12
    assert "metrics on http://127.0.0.1:" in capsys.readouterr().err


def test_a_port_in_use_and_an_unknown_host_are_errors() -> None:
    with Metrics(MetricsConfig(port=0), "cam") as metrics:
        taken = MetricsConfig(port=metrics.address[1])
        with pytest.raises(SinkError, match=r"metrics cannot be served on 127\.0\.0\.1:\d+: "):
            Metrics(taken, "cam")
    with pytest.raises(SinkError, match="metrics cannot be served on nowhere"):
        Metrics(MetricsConfig(port=0, host="nowhere.invalid"), "cam")
    with pytest.raises(SinkError, match=r"metrics cannot be served on a\.\.b:0: .*label"):
        Metrics(MetricsConfig(port=0, host="a..b"), "cam")
    with pytest.raises(ConfigError, match=r"metrics\.port is 65536"):
        MetricsConfig(port=65_536)
    with pytest.raises(ConfigError, match=r"metrics\.stall_s is 0"):
        MetricsConfig(stall_s=0)


def test_other_machines_being_let_in_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    for host, warned in (("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)):
        caplog.clear()
        with Metrics(MetricsConfig(port=0, host=host), "cam"):
            assert ("open to whoever" in caplog.text) is warned
