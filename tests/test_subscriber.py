from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zmq

from streamer.client import ConfigError, MaskSubscriber, SilenceError, StreamError
from streamer.client import subscriber as subscriber_module
from streamer.client.reading_socket import MAX_PART_BYTES
from streamer.output import EndOfStream, Gap
from streamer.printable import LONGEST
from streamer.sink_config import ZmqConfig
from streamer.sinks.message_writer import MessageWriter
from tests.messages import OTHER_RUN, writer
from tests.processes import ROOT
from tests.publisher import PATIENCE_MS, Publisher
from tests.results import RUN, box_mask, epoch, frame_result, stream_info
from tests.waits import PATIENCE_S

SIZE = (12, 16)


class Sender:
    """A publisher whose packets, and what is missing among them, the test decides."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDTIMEO, PATIENCE_MS)
        self._socket.bind("tcp://127.0.0.1:*")
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._packets: list[list[bytes]] = []

    def send(self, *packets: list[bytes]) -> None:
        self._packets += packets

    def start(self) -> None:
        """Send it all, once a reader is there to take it."""
        for packet in self._packets:
            self._socket.send_multipart(packet)
        self._packets = []

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture
def sender() -> Iterator[Sender]:
    opened = Sender()
    yield opened
    opened.close()


def pull(sender: Sender, stream: str | None = None) -> MaskSubscriber:
    subscriber = MaskSubscriber(sender.endpoint, stream, pattern="pull", timeout_s=PATIENCE_S)
    sender.start()
    return subscriber


END = EndOfStream("end", 3, 1)


def test_frames_come_with_their_header_and_masks() -> None:
    masks = {3: box_mask(SIZE, 1, 2, 5, 6), 8: box_mask(SIZE, 4, 4, 8, 12)}
    with (
        Publisher(ZmqConfig(wait_subscribers=1), stream="cam1") as publisher,
        MaskSubscriber(publisher.endpoint, "cam1", timeout_s=60) as subscriber,
    ):
        publisher.inform()
        publisher.put([frame_result(index, SIZE, masks, dropped=index) for index in range(3)])
        assert publisher.end("end", 3) is None
        frames = list(subscriber)
    assert [frame.frame for frame in frames] == [0, 1, 2]
    last = frames[2]
    assert (last.pts, last.time_base, last.time_s) == (2, (1, 10), 0.2)
    assert (last.size, last.dropped, last.lost, last.interpolated) == (SIZE, 2, 0, False)
    assert last.latency_ms > 0
    assert last.image() is None
    for instance in last.instances:
        np.testing.assert_array_equal(instance.mask(), masks[instance.track_id])
        assert (instance.category, instance.category_id, instance.score) == ("person", 1, 0.9)
    np.testing.assert_array_equal(last.labels() == 2, masks[8])
    assert subscriber.hello is not None
    assert subscriber.hello.categories == stream_info().categories
    assert subscriber.end is not None
    assert (subscriber.end.reason, subscriber.end.frames) == ("end", 3)
    assert (subscriber.lost, subscriber.malformed) == (0, 0)


def test_a_label_map_may_be_changed_and_the_masks_stay(sender: Sender) -> None:
    made = writer(encoding="labelmap_png")
    sender.send(*made.write(frame_result(0)))
    with pull(sender) as subscriber:
        frame = next(iter(subscriber))
        labels = frame.labels()
        inside = labels == 1
        labels[inside] = 7
        np.testing.assert_array_equal(frame.instances[0].mask(), inside)
        np.testing.assert_array_equal(frame.labels() == 1, inside)


def test_holes_in_seq_are_losses_of_the_next_frame(sender: Sender) -> None:
    made = writer()
    made.write(frame_result(0))  # before this reader's first message: not its loss
    first = made.write(frame_result(1))
    made.write(frame_result(2))
    gap = made.write(Gap(epoch(SIZE, 1, "reconnect", missing=None)))
    made.heartbeat()
    beat = made.heartbeat()
    third, fourth = made.write(frame_result(3)), made.write(frame_result(4))
    made.write(frame_result(5))
    sender.send(*first, *gap, beat, *third, *fourth, *made.write(END))
    with pull(sender) as subscriber:
        frames = list(subscriber)
    assert [(frame.frame, frame.lost) for frame in frames] == [(1, 0), (3, 2), (4, 0)]
    assert subscriber.lost == 3


def test_a_message_that_comes_late_takes_no_loss_back(sender: Sender) -> None:
    made = writer()
    packets = [made.write(frame_result(index))[-1] for index in range(6)]
    sender.send(packets[0], packets[5], packets[2])
    with pull(sender) as subscriber:
        assert [frame.lost for frame in islice(subscriber, 3)] == [0, 4, 0]
        assert subscriber.lost == 4


def test_a_new_run_is_no_loss(sender: Sender) -> None:
    old, new = writer(), writer(run=OTHER_RUN)
    for _ in range(5):
        old.heartbeat()
        new.heartbeat()
    sender.send(*old.write(frame_result(90)), *new.write(frame_result(0)), *new.write(END))
    with pull(sender) as subscriber:
        frames = list(subscriber)
    assert [(frame.frame, frame.run) for frame in frames] == [(90, RUN), (0, OTHER_RUN)]
    assert subscriber.lost == 0


def test_after_the_end_a_further_iteration_follows_the_next_run(sender: Sender) -> None:
    old, new = writer(), writer(run=OTHER_RUN)
    sender.send(*old.write(frame_result(0)), *old.write(END))
    sender.send(*new.write(frame_result(7)), *new.write(EndOfStream("stopped", 1, 0)))
    with pull(sender) as subscriber:
        assert [frame.frame for frame in subscriber] == [0]
        assert subscriber.end is not None
        assert subscriber.end.reason == "end"
        following = iter(subscriber)
        assert next(following).frame == 7
        assert subscriber.end is None
        assert list(following) == []
        assert subscriber.end is not None  # type: ignore[unreachable]
        assert subscriber.end.reason == "stopped"


def test_what_is_known_of_a_run_is_no_other_s(sender: Sender) -> None:
    old, new = MessageWriter("default", RUN, "coco_rle", with_jpeg=False), writer(run=OTHER_RUN)
    sender.send(*old.write(stream_info()), *old.write(frame_result(0)))
    sender.send(new.write(frame_result(7))[-1], *new.hello(), *new.write(END))
    with pull(sender) as subscriber:
        frames = iter(subscriber)
        next(frames)
        assert subscriber.hello is not None
        assert subscriber.hello.run == RUN
        next(frames)
        assert subscriber.hello is None
        assert list(frames) == []
        assert subscriber.hello is not None  # type: ignore[unreachable]
        assert subscriber.hello.run == OTHER_RUN


def test_no_room_for_a_socket_is_an_error_of_the_stream() -> None:
    """In a process of its own: who else needs a descriptor meanwhile would fail."""
    program = (
        "import os, resource\n"
        "from streamer.client import MaskSubscriber, StreamError\n"
        "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "opened = len(os.listdir('/proc/self/fd')) - 1\n"
        "for more in range(30, 2, -1):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + more, most))\n"
        "    try:\n"
        "        MaskSubscriber('tcp://127.0.0.1:5555').close()\n"
        "    except StreamError as error:\n"
        "        print(error)\n"
        "        break\n"
        "print(len(os.listdir('/proc/self/fd')) - 1 - opened)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=PATIENCE_S,
    )
    refused = "tcp://127.0.0.1:5555: no socket can be opened: Too many open files"
    assert done.stdout.splitlines() == [refused, "0"]


def test_malformed_packets_are_counted_and_passed_over(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    made = writer()
    broken = made.write(frame_result(0))[-1]
    broken[2] = b""
    sender.send([b"hello"], [b"a", b"{}", b""], broken)
    sender.send(*made.write(frame_result(1)), *made.write(END))
    with pull(sender) as subscriber:
        assert [frame.frame for frame in subscriber] == [1]
    assert subscriber.malformed == 3
    assert "a packet has 3 or 4 parts, not 1" in caplog.text


def test_what_cannot_be_used_is_no_sound_and_fills_no_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber_module, "HINT_S", 0.0)
    is_over = threading.Event()

    def publish(server: zmq.Socket[bytes]) -> None:
        while not is_over.wait(0.001):
            server.send_multipart([b"masks/cam1/", b"{}", b""])

    with zmq.Context() as context, context.socket(zmq.PUB) as server:
        port = server.bind_to_random_port("tcp://127.0.0.1")
        thread = threading.Thread(target=publish, args=(server,))
        thread.start()
        try:
            with MaskSubscriber(f"tcp://127.0.0.1:{port}", timeout_s=0.3) as subscriber:
                while subscriber.malformed < 10:
                    with pytest.raises(SilenceError, match="nothing came"):
                        next(iter(subscriber))
        finally:
            is_over.set()
            thread.join()
    assert caplog.text.count("malformed packets so far: 1, the latest: header lacks") == 1
    assert caplog.text.count("malformed") == 1
    assert caplog.text.count("nothing has come yet") == 1


def test_a_reader_that_hears_nothing_stays_connected(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber_module, "RECONNECT_S", 0.0)
    # Less than they are together: what was whole is not part of a message without end.
    monkeypatch.setattr(subscriber_module, "MAX_MESSAGE_BYTES", 1500)
    made = writer()
    frames: list[int] = []
    with MaskSubscriber(sender.endpoint, pattern="pull", timeout_s=0.02) as subscriber:
        for index in range(5):
            sender.send(*made.write(frame_result(index)))
            sender.start()
            for _ in range(5):  # one may come late
                with suppress(SilenceError):
                    frames.extend(frame.frame for frame in subscriber)
        sender.send(*made.write(END))
        sender.start()
        while subscriber.end is None:
            with suppress(SilenceError):
                frames.extend(frame.frame for frame in subscriber)
    assert frames == list(range(5))
    assert (subscriber.lost, subscriber.malformed) == (0, 0)


def test_a_pull_reader_of_one_stream_passes_over_others_and_says_so(
    sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    mine, other = writer("cam1"), writer("cam10", OTHER_RUN)
    sender.send(*other.write(frame_result(0)), *other.write(END))
    sender.send(*mine.write(frame_result(5)), *mine.write(END))
    with pull(sender, "cam1") as subscriber:
        assert [frame.stream for frame in subscriber] == ["cam1"]
    assert caplog.text.count("the stream 'cam10' comes here, and goes to waste") == 1


def test_silence_is_an_error_that_says_for_how_long(sender: Sender) -> None:
    with (
        MaskSubscriber(sender.endpoint, pattern="pull", timeout_s=0.05) as subscriber,
        pytest.raises(SilenceError, match=r"127\.0\.0\.1:\d+: nothing came for 0\.05 s") as caught,
    ):
        next(iter(subscriber))
    assert isinstance(caught.value, StreamError)
    assert isinstance(caught.value, TimeoutError)


def test_a_reader_that_has_not_heard_anything_says_what_may_be_wrong(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(subscriber_module, "HINT_S", 0.0)
    hint = "is the publisher there, and are pattern, stream and keys its own"
    with MaskSubscriber(sender.endpoint, pattern="pull", timeout_s=0.5) as subscriber:
        with pytest.raises(SilenceError, match=hint):
            next(iter(subscriber))
        assert caplog.text.count(hint) == 1
        sender.send(*writer("cam1").write(frame_result(0)))
        sender.start()
        next(iter(subscriber))
        with pytest.raises(SilenceError, match=r"nothing came for 0\.5 s$"):
            next(iter(subscriber))
    assert caplog.text.count(hint) == 1


def test_a_closed_reader_says_so(sender: Sender) -> None:
    subscriber = pull(sender)
    subscriber.close()
    with pytest.raises(StreamError, match="this reader is closed"):
        next(iter(subscriber))


def test_where_the_kernel_does_not_tell_what_came_frames_come_all_the_same(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "TCP_INFO")  # as on other systems than Linux
    with MaskSubscriber(sender.endpoint, pattern="pull", timeout_s=0.3) as subscriber:
        with pytest.raises(SilenceError):
            next(iter(subscriber))
        sender.send(*writer("cam1").write(frame_result(0)))
        sender.start()
        assert next(iter(subscriber)).frame == 0


MALFORMED = [
    *("", "5555", "tcp://127.0.0.1", "bogus://x", "tcp://127.0.0.1:80x"),
    "inproc://x",  # the reader's context is its own
    "ipc://",
    *("ipc:///tmp/\udcff", "tcp://\udcff:5555"),  # as Python takes arguments that are no text
]


NO_TEXT = (Path("ipc:///tmp/x"), None, 5555)


@pytest.mark.parametrize(
    "endpoint", [*MALFORMED, *(f"tcp://h:{port}" for port in ("0", 99999)), *NO_TEXT]
)
def test_a_malformed_endpoint_is_named(endpoint: Any) -> None:
    with pytest.raises(ConfigError, match="is malformed; allowed") as caught:
        MaskSubscriber(endpoint)
    assert repr(endpoint) in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", "\udcff", "x" * 1001, 5, b"cam1"])
def test_a_name_that_no_stream_can_have_is_named(name: Any) -> None:
    with pytest.raises(ConfigError, match="a name of up to 1000 characters, without a slash") as no:
        MaskSubscriber("tcp://127.0.0.1:5555", name)
    assert repr(name)[:LONGEST] in str(no.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "pub"}, "pattern is 'pub'; allowed: sub or pull"),
        ({"pattern": ["sub"]}, r"pattern is \['sub'\]; allowed: sub or pull"),
        *(({"hwm": hwm}, f"hwm is {hwm}") for hwm in (-1, 1.5, True)),
        *(({"timeout_s": time}, f"timeout_s is {time!r}") for time in (-1, "5", True)),
        ({"keys": ("a", "b")}, r"keys is \('a', 'b'\); allowed: ReaderKeys, or None"),
    ],
)
def test_options_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MaskSubscriber("tcp://127.0.0.1:5555", **options)


def test_numbers_may_be_numpy_s(sender: Sender) -> None:
    options: dict[str, Any] = {"hwm": np.int64(5), "timeout_s": np.float32(PATIENCE_S)}
    sender.send(*writer().write(frame_result(3)))
    with MaskSubscriber(sender.endpoint, pattern="pull", **options) as subscriber:
        sender.start()
        assert next(iter(subscriber)).frame == 3


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[zmq.Socket[bytes]]:
    """The sockets that were connected so far."""
    sockets: list[zmq.Socket[bytes]] = []
    connect = zmq.Socket.connect

    def note(opened: zmq.Socket[bytes], address: str) -> object:
        sockets.append(opened)
        return connect(opened, address)

    monkeypatch.setattr(zmq.Socket, "connect", note)
    return sockets


@pytest.mark.parametrize(("endpoint", "is_ipv6"), [("localhost:5555", 0), ("[::1]:5555", 1)])
def test_a_name_is_looked_up_as_the_publisher_binds_it(
    connected: list[zmq.Socket[bytes]], endpoint: str, is_ipv6: int
) -> None:
    """Where localhost is ::1 too, ZeroMQ with IPv6 would try that alone, and for ever."""
    with MaskSubscriber(f"tcp://{endpoint}"):
        reading = next(each for each in connected if each.type == zmq.SUB)
        assert reading.getsockopt(zmq.IPV6) == is_ipv6


def test_where_libzmq_has_given_up_a_reader_connects_anew_once_a_second(
    sender: Sender, connected: list[zmq.Socket[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(subscriber_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with MaskSubscriber(sender.endpoint, pattern="pull") as subscriber:
        subscriber._connections.given_up = True
        connected.clear()
        times = []
        for _ in range(32):
            now[0] += 0.125
            before = len(connected)
            subscriber._connect_again()
            times += [now[0]] * (len(connected) - before)
    assert times == [101, 102, 103, 104]


def test_what_waits_and_how_large_it_is_has_limits(connected: list[zmq.Socket[bytes]]) -> None:
    with MaskSubscriber("tcp://127.0.0.1:5555", hwm=7):
        reading = next(each for each in connected if each.type == zmq.SUB)
        assert reading.getsockopt(zmq.RCVHWM) == 7
        assert reading.getsockopt(zmq.MAXMSGSIZE) == MAX_PART_BYTES
        assert reading.getsockopt(zmq.TCP_KEEPALIVE) == 1  # nothing else tells of a dead machine


def test_closing_twice_is_fine(sender: Sender) -> None:
    subscriber = pull(sender)
    subscriber.close()
    subscriber.close()
    assert subscriber.lost == 0


ABSENT = (
    *("torch", "torchvision", "av", "scipy", "PIL", "tqdm", "safetensors", "jsonargparse", "yaml"),
    "prometheus_client",
)
"""What whoever installs a reader alone does not have."""


def test_a_reader_and_its_command_need_few_packages() -> None:
    program = (
        "import sys, streamer.client, streamer.client.command; "
        f"print([name for name in {ABSENT} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == "[]"


def test_closing_on_another_thread_ends_the_wait(sender: Sender) -> None:
    reader = MaskSubscriber(sender.endpoint, pattern="pull")
    waits = threading.Event()
    update = reader._connections.update
    reader._connections.update = lambda: waits.set() or update()  # type: ignore[method-assign, func-returns-value]
    with ThreadPoolExecutor(1) as pool:
        frame = pool.submit(next, iter(reader))
        assert waits.wait(PATIENCE_S)
        reader.close()
        with pytest.raises(StreamError, match="this reader is closed"):
            frame.result(PATIENCE_S)


def test_closing_in_a_signal_s_handler_ends_the_wait(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = MaskSubscriber(sender.endpoint, pattern="pull")
    poll = reader._socket.poll

    def closed_meanwhile(timeout_ms: int) -> int:
        reader.close()
        return poll(timeout_ms)

    monkeypatch.setattr(reader._socket, "poll", closed_meanwhile)
    with pytest.raises(StreamError, match="this reader is closed"):
        next(iter(reader))
