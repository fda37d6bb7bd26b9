"""How runs end that cannot begin, or are stopped where something outside of them stands still."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from streamer import cli
from streamer.client import MaskSubscriber
from streamer.launch import _start
from streamer.signals import handled, interrupt
from streamer.sinks.annotation_sink import AnnotationSink
from streamer.sinks.sink import SinkThread
from streamer.wire.messages import EosMessage
from tests.camera import Camera, transport_stream
from tests.clips import make_clip
from tests.processes import ROOT, STREAM, started
from tests.waits import PATIENCE_S, until

INTERRUPTED = """import signal
from threading import Thread
from streamer.signals import handled, interrupt, stopping_in_order
start = Thread.start
def start_and_be_stopped(thread):
    start(thread)
    signal.raise_signal(signal.SIGTERM)
Thread.start = start_and_be_stopped
with handled(interrupt), stopping_in_order(lambda: None):
    pass"""


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def last_word(endpoint: str) -> EosMessage | None:
    with MaskSubscriber(endpoint, pattern="pull", timeout_s=60) as subscriber:
        assert list(subscriber) == []
        return subscriber.end


@pytest.mark.parametrize("missing", ["weights", "source"])
def test_readers_of_a_run_that_cannot_begin_are_told(
    tmp_path: Path, weights: str, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clip(tmp_path / "clip.mp4")
    (tmp_path / "junk").write_bytes(b"junk" * 1000)
    given = {"source": tmp_path / "clip.mp4", "weights": weights} | {missing: tmp_path / "junk"}
    endpoint = f"ipc://{tmp_path}/masks"
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(last_word, endpoint)
        options = ["--publish", endpoint, "--zmq.pattern", "push", "--zmq.linger_s", "60"]
        code = cli.main([str(given["source"]), "--weights", str(given["weights"]), *options])
        told = end.result(PATIENCE_S)
    assert code == 1
    assert "junk" in capsys.readouterr().err.splitlines()[-1]
    assert told is not None
    assert (told.reason, told.frames) == ("failed", 0)


def test_a_stopped_run_says_what_nobody_took(tmp_path: Path, weights: str) -> None:
    with started(
        *(*STREAM, "lavfi:testsrc2=size=64x48:rate=25", "--weights", weights),
        *("--source.realtime", "true"),
        *("--window.stride", 3, "--results", tmp_path / "r.json"),
        *("--publish", f"ipc://{tmp_path}/masks", "--zmq.pattern", "push", "--zmq.linger_s", 0.1),
    ) as process:
        until(lambda: '"frame"' in text_of(tmp_path / "r.jsonl"))
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in said
    assert "no reader took the last" in said


def test_a_run_is_stopped_while_its_camera_stands_still(tmp_path: Path, weights: str) -> None:
    clip = transport_stream(tmp_path, frames=40)
    with (
        Camera([(clip, "freezes")]) as camera,
        started(
            *(*STREAM, camera.url, "--source.format", "mpegts", "--source.read_timeout_s", 1000),
            *("--weights", weights, "--window.stride", 3, "--results", tmp_path / "r.json"),
            *("--publish", f"ipc://{tmp_path}/masks", "--zmq.wait_subscribers", 1),
            *("--source.buffer", 100),  # so that none is dropped
        ) as process,
    ):
        with MaskSubscriber(f"ipc://{tmp_path}/masks", timeout_s=60) as subscriber:
            for frame in subscriber:
                if frame.frame == 30:  # few of the next ones come: they wait for more
                    process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in said
    assert subscriber.end is not None
    assert subscriber.end.reason == "stopped"
    end = json.loads(text_of(tmp_path / "r.jsonl").splitlines()[-1])
    assert (end["type"], end["reason"]) == ("end", "stopped")
    assert 30 < end["frames"] == subscriber.end.frames


def test_a_signal_while_an_output_opens_leaves_nothing_half_written(tmp_path: Path) -> None:
    main = threading.get_ident()

    def open_sink() -> AnnotationSink:
        sink = AnnotationSink(str(tmp_path / "a.json"), "png")
        signal.pthread_kill(main, signal.SIGTERM)
        return sink

    with handled(interrupt), pytest.raises(KeyboardInterrupt), ExitStack() as opened:
        _start(SinkThread("annotations", open_sink), opened)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_just_before_the_run_begins_ends_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == f"KeyboardInterrupt: {signal.SIGTERM.value}"
