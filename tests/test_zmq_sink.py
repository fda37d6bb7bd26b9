from __future__ import annotations

import itertools
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zmq

from streamer.client.received import ReceivedFrame
from streamer.errors import ConfigError, SinkError
from streamer.option_check import LONGEST_S
from streamer.output import EndOfStream, FrameResult, Gap, Output
from streamer.ring_buffer import RingBuffer
from streamer.sink_config import ZmqConfig
from streamer.sinks import zmq_sink
from streamer.sinks.readers import Readers
from streamer.sinks.zmq_sink import ZmqSink
from streamer.wire.messages import (
    AnyMessage,
    EosMessage,
    FrameMessage,
    GapMessage,
    HeartbeatMessage,
    HelloMessage,
)
from streamer.wire.packet import topic
from tests import zmtp
from tests.descriptors import open_descriptors
from tests.publisher import PATIENCE_MS, Publisher, RawReader
from tests.results import RUN, box_mask, epoch, frame_result, stream_info
from tests.waits import PATIENCE_S, until

BUSY = ZmqConfig(heartbeat_s=0.02)


def assert_frames_are_held(reader: RawReader) -> None:
    for _ in range(5):  # the publisher is alive, and sends no frame
        before, _ = reader.read_until(HeartbeatMessage)
        assert not any(isinstance(message, FrameMessage) for message in before)


def test_a_reader_gets_hello_frames_gap_and_at_last_eos() -> None:
    second = epoch((6, 8), index=1, reason="size", missing=2)
    with Publisher(ZmqConfig(wait_subscribers=1)) as publisher:
        reader = publisher.reader(prefix=topic("default"))
        publisher.inform()
        publisher.put([frame_result(0), frame_result(1, dropped=3, interpolated=True)])
        publisher.put([Gap(second), frame_result(2, within=second)])
        assert publisher.end("end", frames=3) is None
        messages = reader.read_all()
    kinds = [type(message) for message in messages if not isinstance(message, HelloMessage)]
    assert kinds == [FrameMessage, FrameMessage, GapMessage, FrameMessage, EosMessage]
    assert all(later.seq == earlier.seq + 1 for earlier, later in itertools.pairwise(messages))
    frames = [message for message in messages if isinstance(message, FrameMessage)]
    assert [frame.frame for frame in frames] == [0, 1, 2]
    assert [frame.epoch for frame in frames] == [0, 0, 1]
    assert [frame.size for frame in frames] == [(12, 16), (12, 16), (6, 8)]
    assert (frames[1].dropped, frames[1].interpolated) == (3, True)
    assert frames[1].time_base == (1, 10)
    assert frames[1].pts == 1
    assert {message.run for message in messages} == {RUN}
    end = messages[-1]
    assert isinstance(end, EosMessage)
    assert (end.reason, end.frames) == ("end", 3)


def test_hello_is_sent_when_the_info_comes_and_again_when_the_size_is_known() -> None:
    with Publisher(BUSY) as publisher:
        reader = publisher.reader()
        before, _ = reader.read_until(HeartbeatMessage)
        assert before == []  # no hello yet: there is nothing to say
        publisher.inform()
        before, hello = reader.read_until(HelloMessage)
        assert all(isinstance(message, HeartbeatMessage) for message in before)
        assert hello.size is None
        assert hello.masks
        assert hello.categories == stream_info().categories
        assert (hello.window, hello.stride, hello.encoding) == (36, 18, "coco_rle")
        publisher.put([frame_result(0)])
        before, _ = reader.read_until(FrameMessage)
        assert [m.size for m in before if isinstance(m, HelloMessage)] == [(12, 16)]


def test_a_late_reader_is_greeted() -> None:
    with Publisher(BUSY) as publisher:
        first = publisher.reader()
        first.read_until(HeartbeatMessage)
        publisher.inform()
        publisher.put([frame_result(0)])
        first.read_until(FrameMessage)
        late = publisher.reader()
        before, hello = late.read_until(HelloMessage)
        assert not any(isinstance(message, FrameMessage) for message in before)
        assert hello.size == (12, 16)


def test_another_stream_of_similar_name_is_neither_sent_nor_counted() -> None:
    config = ZmqConfig(wait_subscribers=1, heartbeat_s=0.02)
    with Publisher(config, stream="cam10") as publisher:
        other = publisher.reader(prefix=topic("cam1"))
        everything = publisher.reader(prefix=b"")
        everything.read_until(HeartbeatMessage)
        publisher.inform()
        publisher.put([frame_result(0)])
        everything.read_until(FrameMessage)
        other.socket.setsockopt(zmq.SUBSCRIBE, topic("cam10"))
        other.read()  # its first message comes after it asked for the right stream
        assert publisher.end() is None
        assert all(message.stream == "cam10" for message in other.read_all())


def test_who_reads_another_stream_is_no_reader() -> None:
    with (
        zmq.Context() as context,
        context.socket(zmq.XPUB) as server,
        closing(Readers(server, topic("cam1"), ZmqConfig())) as readers,
    ):
        port = server.bind_to_random_port("tcp://127.0.0.1")
        with closing(RawReader(f"tcp://127.0.0.1:{port}", prefix=topic("cam10"))):
            assert server.poll(PATIENCE_MS)
            assert not readers.take_subscriptions()
            assert readers.subscribed == 0


def test_the_first_frame_waits_for_its_readers() -> None:
    config = ZmqConfig(wait_subscribers=2, heartbeat_s=0.02)
    with Publisher(config) as publisher:
        first = publisher.reader()
        publisher.inform()
        publisher.put([frame_result(index) for index in range(3)])
        first.read_until(HelloMessage)
        assert_frames_are_held(first)
        second = publisher.reader()
        assert publisher.end() is None
        for reader in (first, second):
            frames = [m for m in reader.read_all() if isinstance(m, FrameMessage)]
            assert [frame.frame for frame in frames] == [0, 1, 2]


def test_what_was_never_asked_for_cannot_be_taken_back() -> None:
    config = ZmqConfig(wait_subscribers=2, heartbeat_s=0.02)
    with Publisher(config) as publisher, zmtp.connect(publisher.endpoint) as stranger:
        publisher.inform()
        publisher.put([frame_result(0)])
        wanted = topic("default")
        for count, kind in ((5, b"\x00"), (1, b"\x01")):
            stranger.sendall(count * zmtp.frame(kind + wanted))
        assert stranger.recv(1)  # the hello: it counts as one reader
        publisher.reader().read_until(FrameMessage)


def test_a_reader_that_left_does_not_count() -> None:
    config = ZmqConfig(wait_subscribers=3, heartbeat_s=0.02)
    with Publisher(config) as publisher:
        first = publisher.reader()
        publisher.inform()
        publisher.put([frame_result(0)])
        first.read_until(HelloMessage)
        for _ in range(3):  # comes and goes: never more than two at once
            first.socket.setsockopt(zmq.SUBSCRIBE, topic("default"))
            first.read_until(HelloMessage)
            first.socket.setsockopt(zmq.UNSUBSCRIBE, topic("default"))
        first.socket.setsockopt(zmq.SUBSCRIBE, topic("default"))
        first.read_until(HelloMessage)
        assert_frames_are_held(first)
        third = publisher.reader()
        third.read_until(FrameMessage)


def test_a_short_stream_still_waits_for_a_late_reader_at_its_end() -> None:
    with Publisher(ZmqConfig(wait_subscribers=1, linger_s=60)) as publisher:
        publisher.inform()
        publisher.put([frame_result(0), EndOfStream("end", 1, 0)])
        finished: list[object] = []
        closing = threading.Thread(target=lambda: finished.append(publisher.thread.finish(60)))
        closing.start()
        reader = publisher.reader()
        before, _ = reader.read_until(EosMessage)
        closing.join(60)
        assert finished == [None]
        assert any(isinstance(message, FrameMessage) for message in before)


@pytest.mark.parametrize(("reason", "linger_s"), [("stopped", 60.0), ("end", 0.05)])
def test_an_ended_stream_does_not_wait_for_ever(
    reason: str, linger_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    config = ZmqConfig(wait_subscribers=1, linger_s=linger_s, heartbeat_s=LONGEST_S)
    with Publisher(config) as publisher:
        publisher.inform()
        publisher.put([frame_result(0)])
        assert publisher.end(reason) is None  # type: ignore[arg-type]
    assert "of the readers waited for, 0 of 1 came" in caplog.text


def test_a_stream_cut_off_without_an_end_still_sends_eos() -> None:
    with Publisher(ZmqConfig(wait_subscribers=1)) as publisher:
        reader = publisher.reader()
        publisher.inform()
        publisher.put([frame_result(0, dropped=2)])
        reader.read_until(FrameMessage)
        assert publisher.thread.finish(60) is None
        _, end = reader.read_until(EosMessage)
    assert (end.reason, end.frames, end.dropped) == ("stopped", 1, 2)


@pytest.mark.parametrize("width", [16, 65_501])  # the latter fails: more than JPEG holds
def test_a_stream_that_is_over_leaves_no_descriptor(width: int) -> None:
    before = open_descriptors()
    with Publisher(ZmqConfig(frames="jpeg")) as publisher:
        publisher.inform()
        publisher.put([frame_result(0, (1, width))])
    until(lambda: open_descriptors() <= before)


def test_a_failure_while_publishing_is_the_last_word() -> None:
    too_wide = frame_result(0, (1, 65_501))  # more than JPEG holds
    with Publisher(ZmqConfig(wait_subscribers=1, frames="jpeg")) as publisher:
        reader = publisher.reader()
        publisher.inform()
        publisher.put([too_wide])
        _, end = reader.read_until(EosMessage)
        error = publisher.thread.finish(60)
    assert end.reason == "failed"
    assert isinstance(error, SinkError)
    assert "65501" in str(error)


@pytest.mark.parametrize("encoding", ["coco_rle", "labelmap_png", "labelmap_zstd"])
def test_masks_arrive_exactly(encoding: str) -> None:
    rng = np.random.default_rng(0)
    size = (23, 31)
    masks = {
        5: rng.random(size) < 0.4,
        2: box_mask(size, 3, 4, 10, 12),
        9: box_mask(size, 8, 10, 15, 21),
    }
    with Publisher(ZmqConfig(wait_subscribers=1, encoding=encoding)) as publisher:  # type: ignore[arg-type]
        reader = publisher.reader()
        publisher.inform()
        publisher.put([frame_result(0, size, masks), frame_result(1, size, {})])
        _, full = reader.read_until(FrameMessage)
        _, empty = reader.read_until(FrameMessage)
    frame = ReceivedFrame.of(full, 0, 0)
    assert [instance.track_id for instance in frame.instances] == [5, 2, 9]
    hidden = np.zeros(size, bool)
    for instance in reversed(frame.instances):
        mask = masks[instance.track_id]
        visible = mask if encoding == "coco_rle" else mask & ~hidden
        np.testing.assert_array_equal(instance.mask(), visible)
        assert instance.area == np.count_nonzero(mask)
        hidden |= mask
    np.testing.assert_array_equal(frame.labels() > 0, hidden)
    assert ReceivedFrame.of(empty, 0, 0).labels().max() == 0


def test_the_image_travels_beside_its_masks() -> None:
    image = np.zeros((16, 24, 3), np.uint8)
    image[:, :, 0] = 200  # red
    with Publisher(ZmqConfig(wait_subscribers=1, frames="jpeg")) as publisher:
        reader = publisher.reader()
        publisher.put([frame_result(0, (16, 24), image=image)])
        _, message = reader.read_until(FrameMessage)
    received = ReceivedFrame.of(message, 0, 0).image()
    assert received is not None
    assert np.abs(received.astype(int) - image).max() < 12


def noise(index: int, size: tuple[int, int] = (160, 240)) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_a_reader_that_stalls_delays_nobody_and_sees_its_loss(tmp_path: Path) -> None:
    config = ZmqConfig(
        wait_subscribers=2, hwm=4, frames="jpeg", linger_s=0.2, heartbeat_s=LONGEST_S
    )
    size, count = (480, 640), 40  # 0.5 MB each, which is more than sockets hold
    arrived: list[AnyMessage] = []
    with Publisher(config, f"ipc://{tmp_path}/s") as publisher:
        quick = publisher.reader()
        stalled = publisher.reader(hwm=1)

        def publish(result: FrameResult) -> None:
            """In step with the quick reader: it has no reason to lose any."""
            publisher.put([result])
            _, frame = quick.read_until(FrameMessage)
            assert frame.frame == result.frame.index

        publisher.inform()
        for index in range(count):
            publish(frame_result(index, size, image=noise(index, size)))
        # What waits for the stalled one is followed by a later frame as soon as there is room.
        for index in itertools.count(count):
            publish(frame_result(index, size))  # of one grey, and small
            while stalled.socket.poll(10):
                arrived.append(stalled.read())
            last = arrived[-1]
            if isinstance(last, FrameMessage) and last.frame >= count:
                break
        publisher.end()
    seqs = [message.seq for message in arrived]
    frames = [message.frame for message in arrived if isinstance(message, FrameMessage)]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] - seqs[0] + 1 - len(seqs) == frames[-1] + 1 - len(frames) > 0
    # Here and there a message is under way besides those that may wait at either end.
    assert sum(frame < count for frame in frames) <= config.hwm + 1 + 3


def test_strangers_change_nothing() -> None:
    """Garbage, a subscription that is longer than any, and a flood of short ones."""
    with Publisher(ZmqConfig(wait_subscribers=1)) as publisher:
        reader = publisher.reader()
        publisher.inform()
        publisher.put([frame_result(0)])
        reader.read_until(FrameMessage)
        with zmtp.reach(publisher.endpoint, PATIENCE_S) as stranger:
            stranger.sendall(np.random.default_rng(0).bytes(100_000))
            with zmq.Context() as context, context.socket(zmq.SUB) as long:
                ended = long.get_monitor_socket(zmq.EVENT_DISCONNECTED)
                long.setsockopt(zmq.SUBSCRIBE, b"masks/" + 10_000 * b"x")
                long.connect(publisher.endpoint)
                assert ended.poll(PATIENCE_MS)
                long.disable_monitor()
                ended.close()
            flood = publisher.reader(prefix=b"")
            for number in range(20_000):
                flood.socket.setsockopt(zmq.SUBSCRIBE, b"%d" % number)
            publisher.put([frame_result(index) for index in range(1, 30)])
            assert publisher.end("end", frames=30) is None
        frames = [message for message in reader.read_all() if isinstance(message, FrameMessage)]
        assert [frame.frame for frame in frames] == list(range(1, 30))


def test_push_loses_nothing_and_pushes_back(tmp_path: Path) -> None:
    outputs: RingBuffer[Output] = RingBuffer(2)
    opened: list[ZmqSink] = []
    ready = threading.Event()

    def publish() -> None:
        sink = ZmqSink(f"ipc://{tmp_path}/s", "default", RUN, ZmqConfig(pattern="push", hwm=1))
        opened.append(sink)
        ready.set()
        sink.drain(outputs)
        sink.close()

    thread = threading.Thread(target=publish)
    thread.start()
    assert ready.wait(60)
    outputs.put(stream_info())
    # Nobody reads: the hello is as far as it gets, and two frames fill the queue.
    for index in range(2):
        outputs.put(frame_result(index), timeout_s=60)
    with pytest.raises(TimeoutError):
        outputs.put(frame_result(2), timeout_s=0.1)
    reader = RawReader(opened[0].endpoint, zmq.PULL)
    try:
        for index in range(2, 30):
            outputs.put(frame_result(index), timeout_s=60)
            reader.read()
        outputs.put(EndOfStream("end", 30, 0), timeout_s=60)
        outputs.close()
        rest = reader.read_all()
        thread.join(60)
    finally:
        reader.close()
    assert not thread.is_alive()
    assert rest[-1].seq == 32  # 2 hellos, 30 frames, and the end
    assert all(later.seq == earlier.seq + 1 for earlier, later in itertools.pairwise(rest))


def test_push_without_a_reader_says_what_it_could_not_deliver() -> None:
    config = ZmqConfig(pattern="push", linger_s=0.05, heartbeat_s=0.01)
    with Publisher(config) as publisher:
        publisher.inform()
        publisher.put([frame_result(0), frame_result(1)])
        error = publisher.end()
    assert isinstance(error, SinkError)
    # The hello waits in the sink; two frames and the end wait in the queue.
    assert "no reader took the last 4 messages within 0.05 s" in str(error)
    assert publisher.endpoint in str(error)


def test_push_to_a_reader_that_stalls_at_the_end_is_an_error(tmp_path: Path) -> None:
    config = ZmqConfig(pattern="push", linger_s=0.2, frames="jpeg", hwm=100)
    size = (160, 240)
    with Publisher(config, f"ipc://{tmp_path}/s", capacity=40) as publisher:
        reader = publisher.reader(zmq.PULL, hwm=1)
        publisher.inform()
        publisher.put([frame_result(index, size, image=noise(index)) for index in range(60)])
        reader.read()
        error = publisher.end()
    assert isinstance(error, SinkError)
    assert "did not take all within 0.2 s" in str(error)


@pytest.mark.parametrize("jump_s", [31.0, 61.0])
def test_readers_that_take_all_are_no_loss_however_long_others_take_to_leave(
    jump_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    late_s = 0.0
    closed = threading.Event()
    close = Readers.close

    def close_slowly(readers: Readers) -> None:
        nonlocal late_s
        close(readers)
        late_s = jump_s
        closed.set()

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + late_s)
    monkeypatch.setattr(zmq_sink, "time", clock)
    monkeypatch.setattr(Readers, "close", close_slowly)
    config = ZmqConfig(pattern="push", linger_s=60, frames="jpeg", hwm=100)
    size, count = (480, 640), 40  # 20 MB, more than sockets hold: the end waits in ZeroMQ's queue
    with Publisher(config) as publisher, ThreadPoolExecutor(1) as pool:
        reader = publisher.reader(zmq.PULL, hwm=1)
        publisher.inform()
        for index in range(count):
            publisher.put([frame_result(index, size, image=noise(index, size))])
        reader.read_until(FrameMessage)
        ending = pool.submit(publisher.end)
        assert closed.wait(60)
        reader.read_until(EosMessage)
        assert ending.result(60) is None


def test_the_time_to_make_room_counts_from_the_last_message_that_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(zmq_sink, "time", SimpleNamespace(monotonic=lambda: now[0]))
    config = ZmqConfig(pattern="push", linger_s=10)
    with (
        closing(ZmqSink("tcp://127.0.0.1:*", "default", RUN, config)) as sink,
        closing(RawReader(sink.endpoint, zmq.PULL)) as reader,
    ):
        sink._closed_at, now[0] = now[0], 109.0
        sink._unsent.append([b"masks/"])
        until(sink._flush)  # as soon as the reader is there
        now[0] = 118.0
        assert sink._left_s() == 1
        reader.socket.recv_multipart()


@pytest.mark.parametrize(("closed_after_s", "linger_ms"), [(9.0, 1000), (11.0, 0)])
def test_the_time_to_linger_counts_from_the_end_and_not_from_closing(
    closed_after_s: float, linger_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, lingers_ms = [100.0], []
    close = zmq.Socket.close

    def note(socket: zmq.Socket[bytes], linger: int | None = None) -> None:
        if socket is sink._socket:
            lingers_ms.append(linger)
        close(socket, linger)

    monkeypatch.setattr(zmq_sink, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(zmq.Socket, "close", note)
    sink = ZmqSink("tcp://127.0.0.1:*", "default", RUN, ZmqConfig(pattern="push", linger_s=10))
    sink._closed_at, now[0] = now[0], now[0] + closed_after_s
    sink.close()
    assert lingers_ms == [linger_ms]


def test_without_time_to_linger_nothing_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    ZmqSink("tcp://127.0.0.1:*", "default", RUN, ZmqConfig(linger_s=0)).close()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_heartbeats_of_push_wait_for_a_reader() -> None:
    config = ZmqConfig(pattern="push", heartbeat_s=0.02, linger_s=0.05)
    with Publisher(config) as publisher:
        reader = publisher.reader(zmq.PULL)
        first, second = reader.read(), reader.read()
        assert (first.seq, second.seq) == (0, 1)
        assert isinstance(first, HeartbeatMessage)


def test_heartbeats_of_push_come_to_a_reader_that_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    poll = zmq.Socket.poll

    def note(socket: zmq.Socket[bytes], timeout: int | None = None, flags: int = zmq.POLLIN) -> int:
        asked.extend([flags] if flags == zmq.POLLOUT else [])
        return poll(socket, timeout, flags)

    monkeypatch.setattr(zmq.Socket, "poll", note)
    with Publisher(ZmqConfig(pattern="push", heartbeat_s=0.02, linger_s=0.05)) as publisher:
        until(lambda: len(asked) >= 2)  # two were due and had no room
        reader = publisher.reader(zmq.PULL)
        assert [reader.read().seq for _ in range(2)] == [0, 1]


def test_a_heartbeat_waits_for_no_reader_that_has_just_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    poll = zmq.Socket.poll

    def poll_before(
        socket: zmq.Socket[bytes], timeout: int | None = None, flags: int = zmq.POLLIN
    ) -> int:
        if flags != zmq.POLLOUT:
            return poll(socket, timeout, flags)
        asked.append(flags)
        return flags  # there was one when this was asked

    monkeypatch.setattr(zmq.Socket, "poll", poll_before)
    with Publisher(ZmqConfig(pattern="push", heartbeat_s=0.02, linger_s=0.05)) as publisher:
        until(lambda: bool(asked))
        error = publisher.end()
    assert "no reader took the last 2 messages" in str(error)  # the heartbeat and the end


def test_a_failure_while_readers_are_let_go_still_frees_the_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    close = Readers.close

    def close_and_fail(readers: Readers) -> None:
        close(readers)
        raise MemoryError

    sink = ZmqSink("tcp://127.0.0.1:*", "default", RUN, ZmqConfig())
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Readers, "close", close_and_fail)
        sink.close()
    ZmqSink(sink.endpoint, "default", RUN, ZmqConfig()).close()


def test_a_port_in_use_fails_at_once() -> None:
    with (
        Publisher(ZmqConfig()) as publisher,
        pytest.raises(SinkError, match=r"127\.0\.0\.1:\d+: address already in use"),
    ):
        Publisher(ZmqConfig(), publisher.endpoint)


def test_a_missing_package_is_said_before_anything_is_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ConfigError, match=r"pip install 'zstandard>=0\.22,<1'"):
        Publisher(ZmqConfig(encoding="labelmap_zstd"))


def test_an_address_open_to_the_network_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with Publisher(ZmqConfig(), "tcp://*:*"):
        assert "is open to whoever reaches this machine" in caplog.text
