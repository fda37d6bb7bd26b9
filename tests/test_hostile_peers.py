"""Whoever connects and speaks ZeroMQ, but sends what no reader and no publisher would."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest
import zmq

from streamer.client import MaskSubscriber, SilenceError, subscriber
from streamer.errors import ConfigError
from streamer.output import EndOfStream
from streamer.sink_config import ZmqConfig
from streamer.sinks import guard
from streamer.sinks.message_writer import MessageWriter
from streamer.wire.connections import Connection, Connections
from streamer.wire.messages import FrameMessage, HelloMessage
from tests import zmtp
from tests.descriptors import open_descriptors
from tests.processes import ROOT
from tests.publisher import Publisher
from tests.results import RUN, frame_result
from tests.waits import PATIENCE_S, until

PATIENCE_BYTES = 2**28
"""Most that a stranger sends: only in a test that fails."""


def sent_until_ended(stranger: socket.socket, frames: Iterator[bytes]) -> int:
    """Bytes that a stranger could send before its connection was ended."""
    sent = 0
    try:
        while sent < PATIENCE_BYTES:
            block = b"".join(itertools.islice(frames, 250))
            stranger.sendall(block)
            sent += len(block)
    except (BrokenPipeError, ConnectionResetError):
        return sent
    pytest.fail(f"{sent} bytes were taken")


ENDLESS = {
    "parts": lambda: itertools.repeat(zmtp.frame(4000 * b"x", zmtp.MORE)),
    "subscriptions": lambda: (zmtp.frame(b"\x01%0100d" % number) for number in itertools.count()),
}


BUSY = ZmqConfig(heartbeat_s=0.02)


@pytest.mark.parametrize(
    ("pattern", "endless"), [("pub", "parts"), ("pub", "subscriptions"), ("push", "parts")]
)
def test_whoever_sends_without_end_is_disconnected_alone(
    pattern: str, endless: str, caplog: pytest.LogCaptureFixture
) -> None:
    publishes = pattern == "pub"
    config = ZmqConfig(pattern=pattern, wait_subscribers=int(publishes))  # type: ignore[arg-type]
    with Publisher(config) as publisher:
        reader = publisher.reader(zmq.SUB if publishes else zmq.PULL)
        publisher.inform()
        reader.read_until(HelloMessage)
        with zmtp.connect(publisher.endpoint, b"SUB" if publishes else b"PULL") as stranger:
            sent_until_ended(stranger, ENDLESS[endless]())
        if publishes:  # and all of it to the reader that stayed
            publisher.put([frame_result(index) for index in range(30)])
            assert publisher.end("end", frames=30) is None
            frames = [each for each in reader.read_all() if isinstance(each, FrameMessage)]
            assert [frame.frame for frame in frames] == list(range(30))
    assert "connections ended so far that sent too much, or were too many: 1" in caplog.text


def test_whoever_flooded_is_not_let_in_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Publisher(BUSY) as publisher:
        reader = publisher.reader()
        reader.read()
        with zmtp.connect(publisher.endpoint) as stranger:
            sent_until_ended(stranger, ENDLESS["subscriptions"]())
        with pytest.raises(TimeoutError):
            zmtp.reach(publisher.endpoint, 0.2)
        reader.read()
    monkeypatch.setattr(guard, "SHUT_S", 0.3)
    with Publisher(BUSY) as publisher:
        with zmtp.connect(publisher.endpoint) as stranger:
            sent_until_ended(stranger, ENDLESS["parts"]())
        zmtp.connect(publisher.endpoint).close()  # the kernel asks again, after a second
        publisher.reader().read()


def test_what_is_sent_to_a_push_socket_leaves_nothing_behind() -> None:
    with Publisher(ZmqConfig(pattern="push", heartbeat_s=0.02)) as publisher:
        reader = publisher.reader(zmq.PULL)
        reader.read()
        before = open_descriptors()
        for _ in range(5):
            with zmtp.connect(publisher.endpoint, b"PULL") as stranger:
                stranger.sendall(1500 * zmtp.frame(b""))
        deadline = time.monotonic() + PATIENCE_S
        while open_descriptors() > before and time.monotonic() < deadline:
            reader.read()
        assert open_descriptors() <= before


def test_readers_with_heartbeats_of_their_own_are_no_flood() -> None:
    with socket.socket() as one, socket.socket() as other:
        young, old = Connection(one), Connection(other)
        now = young.since_s
        old.since_s = now - 1e5
        beats = {young: 1000, old: 900_000}
        assert guard.most_greedy(beats, guard.FLOOD_BYTES, now) == set()
        flood = {**beats, young: guard.FLOOD_BYTES + 2000}
        assert guard.most_greedy(flood, guard.FLOOD_BYTES, now) == {young}
        assert guard.most_greedy({**flood, old: 10**8}, -1, now) == {young, old}


def test_who_comes_and_goes_is_counted_too() -> None:
    with Publisher(BUSY) as publisher:
        reader = publisher.reader()
        frames = ENDLESS["subscriptions"]()
        for _ in range(PATIENCE_BYTES // 8000):  # each gone before anybody looks
            try:
                stranger = zmtp.reach(publisher.endpoint, 0.5)
            except TimeoutError:  # the kernel answers for the publisher, unless nobody is let in
                break
            with stranger, suppress(ConnectionError):
                stranger.settimeout(PATIENCE_S)
                zmtp.greet(stranger, b"SUB")
                stranger.sendall(b"".join(itertools.islice(frames, 80)))
        else:
            pytest.fail("everybody was let in")
        reader.read()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, for who guards a publisher: it stands still."""
    now = [time.monotonic()]
    monkeypatch.setattr(guard, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def is_shut(endpoint: str) -> bool:
    try:
        zmtp.reach(endpoint, 0.2).close()
    except TimeoutError:
        return True
    return False


@pytest.mark.usefixtures("clock")
def test_whoever_flooded_and_left_shuts_the_door_before_it_is_time_to_look() -> None:
    with Publisher(ZmqConfig(heartbeat_s=0.02, max_readers=2)) as publisher:
        reader = publisher.reader()
        reader.read()
        with zmtp.connect(publisher.endpoint) as stranger:
            stranger.sendall(b"".join(itertools.islice(ENDLESS["subscriptions"](), 800)))
            until(lambda: is_shut(publisher.endpoint))  # it has been noticed: there is no room
        for _ in range(5):
            reader.read()
        assert all(is_shut(publisher.endpoint) for _ in range(3))  # and not only for a moment


def test_some_who_come_and_go_now_and_then_are_no_flood(clock: list[float]) -> None:
    with Publisher(BUSY) as publisher:
        reader = publisher.reader()
        frames = ENDLESS["subscriptions"]()
        for _ in range(8):
            with zmtp.reach(publisher.endpoint, 5) as stranger:
                zmtp.greet(stranger, b"SUB")
                stranger.sendall(b"".join(itertools.islice(frames, 160)))
            for _ in range(3):
                reader.read()
            clock[0] += 2 * guard.SHUT_S


def test_who_only_greets_makes_no_room_for_others() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as server:
        connections = Connections(server)
        port = server.bind_to_random_port("tcp://127.0.0.1")
        with zmtp.connect(f"tcp://127.0.0.1:{port}"):
            until(lambda: connections.update() and len(connections) == 1)
        until(lambda: connections.update() and not connections)
        assert connections.brief_bytes == 0
        server.disable_monitor()
        connections.close()


def stay_out(endpoint: str) -> None:
    """Ask to be let in, and see that nobody answers, or that the connection is ended."""
    with suppress(ConnectionError):
        try:
            refused = zmtp.reach(endpoint, 0.2)
        except TimeoutError:
            return
        with refused:  # it came before the others were noticed
            refused.settimeout(PATIENCE_S)
            while refused.recv(100):
                pass


def test_a_connection_too_many_is_ended_and_the_others_stay() -> None:
    with Publisher(ZmqConfig(wait_subscribers=1, max_readers=3)) as publisher:
        reader = publisher.reader()
        publisher.inform()
        reader.read_until(HelloMessage)
        idle = [zmtp.connect(publisher.endpoint) for _ in range(2)]
        stay_out(publisher.endpoint)
        idle.pop().close()
        idle.append(zmtp.connect(publisher.endpoint))  # the kernel asks again, after a second
        publisher.put([frame_result(0)])
        reader.read_until(FrameMessage)
        for each in idle:
            each.close()


@pytest.mark.parametrize("timeout_s", [0.0, 0.05, 0.3, None])
def test_a_publisher_whose_message_never_ends_is_left(
    timeout_s: float | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(subscriber, "MAX_MESSAGE_BYTES", 2**20)
    ended: list[int] = []

    def publish(server: socket.socket) -> None:
        first, _ = server.accept()
        with first:
            zmtp.greet(first, b"PUB")
            ended.append(sent_until_ended(first, ENDLESS["parts"]()))
        second, _ = server.accept()  # the reader tries again by itself
        with second:
            zmtp.greet(second, b"PUB")
            made = MessageWriter("default", RUN, "coco_rle", with_jpeg=False)
            for *parts, last in made.write(EndOfStream("end", 1, 0)):
                for part in parts:
                    second.sendall(zmtp.frame(part, zmtp.MORE))
                second.sendall(zmtp.frame(last))
            second.recv(100)
            ended.append(0)

    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        thread = threading.Thread(target=publish, args=(server,))
        thread.start()
        with MaskSubscriber(endpoint, "default", timeout_s=timeout_s) as reader:
            while reader.end is None:
                with suppress(SilenceError):
                    assert list(reader) == []
            assert reader.malformed == 1
        thread.join(PATIENCE_S)
    assert len(ended) == 2
    assert "a message without end" in caplog.text


def test_an_error_while_looking_keeps_nobody_from_guarding_or_closing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    greedy, failed = guard.Guard._greedy, threading.Event()

    def failing(each: guard.Guard, now: float) -> set[Connection]:
        if not failed.is_set():
            failed.set()
            raise MemoryError("no room")
        return greedy(each, now)

    monkeypatch.setattr(guard.Guard, "_greedy", failing)
    with Publisher(BUSY) as publisher:
        publisher.reader().read()
        assert failed.is_set()
        with zmtp.connect(publisher.endpoint) as stranger:
            sent_until_ended(stranger, ENDLESS["parts"]())
        assert publisher.end() is None
    assert caplog.text.count("MemoryError: no room") == 1


def test_a_guard_that_has_died_can_be_closed() -> None:
    """In a process of its own, which would hang in libzmq with Python's lock held."""
    program = (
        "import threading, zmq\n"
        "from streamer.sinks.guard import Guard\n"
        "from streamer.wire.connections import Connections\n"
        "Connections.update = lambda *_: 1 / 0\n"
        "context = zmq.Context()\n"
        "server = context.socket(zmq.XPUB)\n"
        "guard = Guard(server, 10, trusting=False)\n"
        "guard._thread.join()\n"
        "guard.close()\n"
        "context.destroy(linger=0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=PATIENCE_S)


def test_more_readers_than_descriptors_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"zmq\.max_readers.*10000000.*ulimit -n"):
        Publisher(ZmqConfig(max_readers=10_000_000))
