from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from streamer.errors import WireError
from streamer.wire.packet import parse
from streamer.wire.run_lengths import MAX_RLE_CHARACTERS, check_length, check_runs, run_lengths
from tests.messages import writer
from tests.results import box_mask, frame_result

FEW = settings(max_examples=60)


@FEW
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_run_lengths_are_those_of_pycocotools(h: int, w: int, share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((h, w)) < share
    counts = coco_mask.encode(np.asfortranarray(mask.view(np.uint8)))["counts"]
    assert isinstance(counts, bytes)
    runs = run_lengths(counts)
    check_runs(runs, (h, w), 0)
    decoded = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(w, h).T
    np.testing.assert_array_equal(decoded, mask)


def test_long_runs_are_read_exactly() -> None:
    mask = np.zeros((4000, 5000), np.uint8, order="F")
    mask[1:, 4000] = 1
    counts = coco_mask.encode(mask)["counts"]
    assert isinstance(counts, bytes)
    assert run_lengths(counts).tolist() == [16_000_001, 3999, 3_996_000]


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        (b"", "empty"),
        (b"\x10", "outside"),
        (b"\x7f", "outside"),
        (b"o", "inside a number"),
        (b"1P", "inside a number"),
        (b"oooooooo0", "more than 7 characters"),
    ],
)
def test_broken_run_lengths_are_refused(counts: bytes, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        run_lengths(counts)


@FEW
@given(st.binary(max_size=60))
def test_any_bytes_are_run_lengths_or_refused(counts: bytes) -> None:
    try:
        runs = run_lengths(counts)
        check_runs(runs, (6, 7), 0)
    except WireError:
        return
    assert runs.sum() == 42
    assert runs.min() >= 0


@pytest.mark.parametrize("runs", [[41], [43], [43, -1], [2**40, 42 - 2**40], [-1, 43]])
def test_runs_that_do_not_cover_the_frame_are_refused(runs: list[int]) -> None:
    with pytest.raises(WireError, match="42 pixels of 7x6"):
        check_runs(np.array(runs, dtype=np.int64), (6, 7), 0)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (64, 512)])
def test_no_mask_needs_more_characters_than_are_taken(size: tuple[int, int]) -> None:
    """Chequered, with every run one pixel long, or with runs that differ by most."""
    places = np.arange(size[0] * size[1])
    for pixels in (places % 2, places % 2 == 0, places % 18 > 0, places % 514 > 0):
        mask = pixels.astype(np.uint8).reshape(size[::-1]).T
        counts = coco_mask.encode(mask)["counts"]
        check_length(len(counts), size, 0)


def test_characters_that_would_take_much_memory_are_refused() -> None:
    size = (8192, 16_384)
    check_length(MAX_RLE_CHARACTERS, size, 0)
    with pytest.raises(WireError, match="4194305 characters of run lengths for 16384x8192"):
        check_length(MAX_RLE_CHARACTERS + 1, size, 0)


def test_run_lengths_that_no_mask_has_are_refused_before_they_are_read() -> None:
    packet = writer().write(frame_result(0, (4, 6), {1: box_mask((4, 6), 1, 1, 3, 3)}))[-1]
    header = json.loads(packet[1])
    payload = b"0" * 2**20
    header["instances"][0]["length"] = len(payload)
    tracemalloc.start()
    with pytest.raises(WireError, match="1048576 characters of run lengths for 6x4"):
        parse([packet[0], json.dumps(header).encode(), payload])
    assert tracemalloc.get_traced_memory()[1] < 3 * len(payload)
    tracemalloc.stop()


def test_a_hostile_sum_does_not_overflow_into_the_right_one() -> None:
    # 2**62 + 2**62 + ... wraps around to the number of pixels.
    runs = np.array([2**62, 2**62, 2**62, 2**62, 42], dtype=np.int64)
    with pytest.raises(WireError):
        check_runs(runs, (6, 7), 0)
