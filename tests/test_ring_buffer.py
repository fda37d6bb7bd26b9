"""`streamer.ring_buffer`: order, overflow, closing from either end, waiting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.ring_buffer import Closed, RingBuffer
from tests.waits import PATIENCE_S, waits_of


def test_hands_over_in_order() -> None:
    buffer: RingBuffer[int] = RingBuffer(4)
    for item in range(4):
        buffer.put(item)
    buffer.close()
    assert list(buffer) == [0, 1, 2, 3]


def test_refuses_a_capacity_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        RingBuffer(0)


def test_get_drains_before_it_reports_the_end() -> None:
    buffer: RingBuffer[str] = RingBuffer(2)
    buffer.put("last")
    buffer.close()
    assert buffer.get() == "last"
    with pytest.raises(Closed):
        buffer.get()


def test_get_drains_before_it_raises_the_producers_error() -> None:
    buffer: RingBuffer[str] = RingBuffer(2)
    buffer.put("last")
    buffer.close(OSError("cable pulled"))
    assert buffer.get() == "last"
    with pytest.raises(OSError, match="cable pulled"):
        buffer.get()


def test_the_first_close_decides() -> None:
    buffer: RingBuffer[str] = RingBuffer(2)
    buffer.close()
    buffer.close(OSError("too late"))
    assert buffer.closed
    with pytest.raises(Closed):
        buffer.put("x")


def test_put_raises_the_consumers_error() -> None:
    buffer: RingBuffer[str] = RingBuffer(2)
    buffer.close(OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        buffer.put("x")


def test_drop_oldest_keeps_the_newest_and_counts() -> None:
    buffer: RingBuffer[int] = RingBuffer(3, "drop_oldest")
    for item in range(10):
        buffer.put(item)
    buffer.close()
    assert list(buffer) == [7, 8, 9]
    assert buffer.dropped == 7


def test_block_waits_for_room_and_loses_nothing() -> None:
    buffer: RingBuffer[int] = RingBuffer(2)
    with ThreadPoolExecutor(1) as pool:
        producer = pool.submit(lambda: [buffer.put(item) for item in range(100)])
        got = [buffer.get(PATIENCE_S) for _ in range(100)]
        producer.result(PATIENCE_S)
    assert got == list(range(100))
    assert buffer.dropped == 0


@pytest.mark.parametrize("blocked", ["put", "get"])
def test_close_wakes_whoever_waits(blocked: str) -> None:
    buffer: RingBuffer[int] = RingBuffer(1)
    if blocked == "put":
        buffer.put(0)
    waits = waits_of(buffer)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(buffer.put, 1) if blocked == "put" else pool.submit(buffer.get)
        assert waits.wait(PATIENCE_S)
        buffer.close()
        with pytest.raises(Closed):
            waiting.result(PATIENCE_S)


def test_waiting_ends_at_its_timeout() -> None:
    buffer: RingBuffer[int] = RingBuffer(1)
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        buffer.get(timeout_s=0.01)
    buffer.put(0)
    with pytest.raises(TimeoutError):
        buffer.put(1, timeout_s=0.01)


def test_discard_counts_and_makes_room() -> None:
    buffer: RingBuffer[int] = RingBuffer(2)
    buffer.put(0)
    buffer.put(1)
    assert buffer.discard() == 2
    buffer.put(2, timeout_s=0)
    assert (len(buffer), buffer.dropped) == (1, 2)


def test_without_its_limit_put_never_waits() -> None:
    buffer: RingBuffer[int] = RingBuffer(1)
    buffer.put(0)
    waits = waits_of(buffer)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(buffer.put, 1)
        assert waits.wait(PATIENCE_S)
        buffer.lift_limit()
        waiting.result(PATIENCE_S)
    buffer.put(2, timeout_s=0)
    assert len(buffer) == 3


def test_a_listener_hears_of_every_put_and_close() -> None:
    buffer: RingBuffer[int] = RingBuffer(4)
    heard: list[int] = []
    buffer.listen(lambda: heard.append(len(heard)))
    buffer.put(1)
    buffer.put(2)
    buffer.close()
    assert len(heard) == 4  # once at once, for what is there already


def test_a_pause_shows_once_all_is_taken() -> None:
    buffer: RingBuffer[int] = RingBuffer(4)
    following = buffer.with_pauses()
    buffer.put(1)
    buffer.pause()
    buffer.pause()
    assert [next(following), next(following)] == [1, None]
    buffer.put(2)
    assert next(following) == 2
    buffer.pause()
    buffer.close()
    assert list(following) == [None]


def test_a_pause_that_is_over_does_not_show() -> None:
    buffer: RingBuffer[int] = RingBuffer(4)
    for item in (1, 2):
        buffer.put(item)
        buffer.pause()
    buffer.put(3)
    buffer.close()
    assert list(buffer.with_pauses()) == [1, 2, 3]


def test_a_pause_wakes_whoever_waits() -> None:
    buffer: RingBuffer[int] = RingBuffer(1)
    waits = waits_of(buffer)
    with ThreadPoolExecutor(1) as pool, closing(buffer):
        waiting = pool.submit(next, buffer.with_pauses())
        assert waits.wait(PATIENCE_S)
        buffer.pause()
        assert waiting.result(PATIENCE_S) is None


def test_iteration_passes_over_pauses() -> None:
    buffer: RingBuffer[int] = RingBuffer(4)
    buffer.put(1)
    buffer.pause()
    buffer.close()
    assert list(buffer) == [1]


@given(
    capacity=st.integers(1, 5),
    actions=st.lists(st.one_of(st.just("get"), st.integers()), max_size=40),
)
def test_whatever_happens_every_item_is_got_held_or_dropped(
    capacity: int, actions: list[str | int]
) -> None:
    buffer: RingBuffer[int] = RingBuffer(capacity, "drop_oldest")
    put: list[int] = []
    got: list[int] = []
    for action in actions:
        if isinstance(action, int):
            put.append(action)
            buffer.put(action)
        elif len(buffer):
            got.append(buffer.get())
    assert len(put) == len(got) + len(buffer) + buffer.dropped
    assert len(buffer) <= capacity
