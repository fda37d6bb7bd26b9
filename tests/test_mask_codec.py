from __future__ import annotations

import json
import sys
import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from streamer.errors import ConfigError
from streamer.image_encoding import encode_jpeg, encode_png
from streamer.wire.mask_codec import (
    MAX_RLE_CHARACTERS,
    check_length,
    check_runs,
    decode_jpeg,
    decode_label_map,
    decode_mask,
    encode_masks,
    jpeg_size,
    run_lengths,
)
from streamer.wire.messages import Encoding, FrameMessage, WireError
from streamer.wire.packet import parse
from tests.messages import frame_message, writer
from tests.results import box_mask, frame_result

FEW = settings(max_examples=60)


def message_of(encoding: Encoding, masks: dict[int, NDArray[np.bool_]]) -> FrameMessage:
    size = next(iter(masks.values())).shape
    return frame_message(frame_result(0, (size[0], size[1]), masks), writer(encoding=encoding))


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


@pytest.mark.parametrize("encoding", ["labelmap_png", "labelmap_zstd"])
def test_label_maps_put_later_ones_on_top(encoding: Encoding) -> None:
    size = (9, 11)
    below, above = box_mask(size, 0, 0, 6, 6), box_mask(size, 3, 3, 6, 8)
    labels = decode_label_map(message_of(encoding, {7: below, 8: above}))
    np.testing.assert_array_equal(labels == 2, above)
    np.testing.assert_array_equal(labels == 1, below & ~above)


def test_no_mask_is_no_payload() -> None:
    assert encode_masks((4, 5), [], "coco_rle") == (b"", [])


def test_a_label_map_has_no_masks_of_its_own() -> None:
    message = message_of("labelmap_png", {1: box_mask((4, 5), 0, 0, 2, 2)})
    with pytest.raises(WireError, match="no offset and length"):
        decode_mask(message, 0)


@pytest.mark.parametrize("encoding", ["labelmap_png", "labelmap_zstd"])
def test_a_label_without_an_instance_is_refused(encoding: Encoding) -> None:
    message = message_of(encoding, {1: box_mask((4, 5), 0, 0, 2, 2)})
    with pytest.raises(WireError, match="label 1 with 0 instances"):
        decode_label_map(replace(message, instances=()))


@pytest.mark.parametrize("encoding", ["labelmap_png", "labelmap_zstd"])
@pytest.mark.parametrize("cut", [1, 8, 30])
def test_a_truncated_label_map_is_refused(encoding: Encoding, cut: int) -> None:
    rng = np.random.default_rng(0)
    message = message_of(encoding, {1: rng.random((30, 40)) < 0.5})
    with pytest.raises(WireError):
        decode_label_map(replace(message, payload=message.payload[:-cut]))


def test_a_label_map_of_another_size_is_refused_before_it_is_decoded() -> None:
    huge = encode_png(np.zeros((1000, 1000), np.uint16))
    message = message_of("labelmap_png", {1: box_mask((4, 5), 0, 0, 2, 2)})
    with pytest.raises(WireError, match="16-bit greyscale PNG of 5x4"):
        decode_label_map(replace(message, payload=huge))


def test_an_8_bit_png_is_refused() -> None:
    png = cv2.imencode(".png", np.zeros((4, 5), np.uint8))[1].tobytes()
    message = message_of("labelmap_png", {1: box_mask((4, 5), 0, 0, 2, 2)})
    with pytest.raises(WireError, match="16-bit"):
        decode_label_map(replace(message, payload=png))


def test_a_zstandard_bomb_is_refused_by_its_header() -> None:
    zstandard = pytest.importorskip("zstandard")
    bomb = zstandard.ZstdCompressor().compress(bytes(10_000_000))
    message = message_of("labelmap_zstd", {1: box_mask((4, 5), 0, 0, 2, 2)})
    with pytest.raises(WireError, match="declares 10000000 bytes for 5x4"):
        decode_label_map(replace(message, payload=bomb))
    nameless = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(40))
    with pytest.raises(WireError, match="declares"):
        decode_label_map(replace(message, payload=nameless))
    with pytest.raises(WireError, match="not a zstandard frame"):
        decode_label_map(replace(message, payload=b"nothing"))


def test_reading_zstandard_without_its_package_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = message_of("labelmap_zstd", {1: box_mask((4, 5), 0, 0, 2, 2)})
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ConfigError, match="needs the package zstandard"):
        decode_label_map(message)


def test_jpeg_keeps_size_and_colours() -> None:
    image = np.full((20, 30, 3), (30, 90, 220), np.uint8)
    jpeg = encode_jpeg(image, 85)
    assert jpeg_size(jpeg) == (20, 30)
    assert np.abs(decode_jpeg(jpeg, (20, 30)).astype(int) - image).max() < 8


def test_a_jpeg_of_another_size_is_refused_before_it_is_decoded() -> None:
    jpeg = encode_jpeg(np.zeros((20, 30, 3), np.uint8), 85)
    with pytest.raises(WireError, match=r"size is \(20, 30\), its frame's is \(4, 5\)"):
        decode_jpeg(jpeg, (4, 5))


def test_fill_bytes_hide_no_size() -> None:
    jpeg = encode_jpeg(np.zeros((20, 30, 3), np.uint8), 85)
    # To who takes fill bytes for a marker, its segment hides all up to a second frame header.
    fake = b"\xff\xff\xee" + (2).to_bytes(2, "big")
    assert jpeg_size(jpeg[:2] + fake + jpeg[2:]) == (20, 30)


@pytest.mark.parametrize(
    "jpeg",
    [
        *(b"", b"GIF89a", b"\xff\xd8\x00", b"\xff\xd8\xff\xda\x00\x08"),
        b"\xff\xd8\xff\xe0\x00\x01\xff\xc0\x00\x0b\x08\x00\x04\x00\x05",
        b"\xff\xd8\xff\xd0\xff\xc0\x00\x0b\x08\x00\x04\x00\x05\x00\x00",
    ],
)
def test_what_is_no_jpeg_has_no_size(jpeg: bytes) -> None:
    assert jpeg_size(jpeg) is None


def test_a_jpeg_without_its_data_is_refused() -> None:
    jpeg = encode_jpeg(np.zeros((20, 30, 3), np.uint8), 85)
    start = jpeg.index(b"\xff\xc0")
    with pytest.raises(WireError):
        decode_jpeg(jpeg[: start + 12], (20, 30))
