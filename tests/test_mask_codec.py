from __future__ import annotations

import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.client import ReceivedFrame
from streamer.errors import ConfigError, WireError
from streamer.wire.mask_codec import (
    decode_label_map,
    decode_mask,
    encode_masks,
)
from streamer.wire.messages import Encoding, FrameMessage
from tests.messages import frame_message, writer
from tests.results import box_mask, frame_result


def message_of(encoding: Encoding, masks: dict[int, NDArray[np.bool_]]) -> FrameMessage:
    size = next(iter(masks.values())).shape
    return frame_message(frame_result(0, (size[0], size[1]), masks), writer(encoding=encoding))


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


def test_bytes_behind_a_zstandard_frame_are_refused() -> None:
    pytest.importorskip("zstandard")
    message = message_of("labelmap_zstd", {1: box_mask((4, 5), 0, 0, 2, 2)})
    with pytest.raises(WireError, match="not a zstandard frame"):
        decode_label_map(replace(message, payload=message.payload + b"junk"))


def test_reading_zstandard_without_its_package_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = message_of("labelmap_zstd", {1: box_mask((4, 5), 0, 0, 2, 2)})
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ConfigError, match="needs the package zstandard"):
        decode_label_map(message)


@pytest.mark.parametrize("encoding", ["coco_rle", "labelmap_png", "labelmap_zstd"])
def test_a_mask_may_be_drawn_on_whatever_its_encoding(encoding: Encoding) -> None:
    inside = box_mask((9, 11), 2, 3, 6, 8)
    frame = ReceivedFrame.of(message_of(encoding, {1: inside}), 0, 0)
    mask = frame.instances[0].mask()
    np.testing.assert_array_equal(mask, inside)
    assert (mask.dtype, mask.flags.c_contiguous, mask.flags.writeable) == (np.bool_, True, True)
    cv2.circle(mask.view(np.uint8), (8, 8), 0, 1)
    assert mask[8, 8]
    assert not frame.instances[0].mask()[8, 8]


def test_a_received_frame_shows_no_bytes() -> None:
    message = replace(message_of("coco_rle", {1: box_mask((4, 5), 0, 0, 2, 2)}), jpeg=b"picture")
    frame = ReceivedFrame.of(message, 0, 0)
    for shown in (repr(message), repr(frame)):
        assert "b'" not in shown
        assert "track_id=1" in shown
