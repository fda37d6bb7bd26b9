from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.client.received import ReceivedFrame
from streamer.errors import StreamError, WireError
from streamer.image_encoding import encode_jpeg
from streamer.output import EndOfStream, Gap
from streamer.sinks.message_writer import MessageWriter
from streamer.wire.mask_codec import encode_masks
from streamer.wire.messages import (
    AnyMessage,
    EosMessage,
    FrameMessage,
    GapMessage,
    HeartbeatMessage,
    HelloMessage,
    InstanceEntry,
)
from streamer.wire.packet import MAX_HEADER_BYTES, encode, parse, topic
from tests.messages import frame_message, writer
from tests.processes import ROOT
from tests.results import RUN, box_mask, epoch, frame_result, stream_info

FEW = settings(max_examples=150)
SIZE = (12, 16)


def frame_packet(encoding: str = "coco_rle", *, with_jpeg: bool = False) -> list[bytes]:
    made = writer("cam1", encoding=encoding, with_jpeg=with_jpeg)  # type: ignore[arg-type]
    masks = {3: box_mask(SIZE, 1, 2, 5, 6), 4: box_mask(SIZE, 4, 4, 8, 12)}
    return made.write(frame_result(0, SIZE, masks))[-1]


def packets() -> dict[str, list[bytes]]:
    made = MessageWriter("cam1", RUN, "coco_rle", with_jpeg=False)
    return {
        "hello": made.write(stream_info("cam1"))[0],
        "frame": frame_packet(),
        "heartbeat": made.heartbeat(),
        "gap": made.write(Gap(epoch(SIZE, 1, "reconnect", missing=None)))[0],
        "eos": made.write(EndOfStream("stopped", 5, 2))[0],
    }


def altered(packet: list[bytes], change: Callable[[dict[str, Any]], object]) -> list[bytes]:
    header = json.loads(packet[1])
    change(header)
    return [packet[0], json.dumps(header).encode(), *packet[2:]]


def decode(message: AnyMessage) -> None:
    """Everything that a reader could ask of a message."""
    if isinstance(message, FrameMessage):
        frame = ReceivedFrame.of(message, 0, 0)
        frame.labels()
        for instance in frame.instances:
            assert instance.mask().shape == frame.size


ENVELOPE: dict[str, Any] = {"run": RUN, "stream": "cam1", "epoch": 2, "seq": 7}


@pytest.mark.parametrize(
    "message",
    [
        HelloMessage(**ENVELOPE, size=None, categories=("", "människa"), encoding="coco_rle",
                     stride=18, window=36, masks=True),
        HelloMessage(**ENVELOPE, size=(3, 4), categories=(), encoding="labelmap_png",
                     stride=1, window=1, masks=False),
        HeartbeatMessage(**ENVELOPE, publish_unix_ns=1_795_437_177_000_000_001),
        GapMessage(**ENVELOPE, reason="loop", missing=3),
        GapMessage(**ENVELOPE, reason="reconnect", missing=None),
        EosMessage(**ENVELOPE, reason="failed", frames=10, dropped=1),
        FrameMessage(
            **ENVELOPE, frame=9, pts=-5, time_base=(1, 90_000), time_s=0.3,
            capture_unix_ns=-5, capture_clock="camera", publish_unix_ns=3,
            size=(2, 2), interpolated=True, dropped=4, encoding="coco_rle",
            instances=(InstanceEntry(1, 2, "dog", 0.5, (0, 0, 2, 2), 4, 0, 2),), payload=b"04",
            jpeg=encode_jpeg(np.zeros((2, 2, 3), np.uint8), 85),
        ),
    ],
    ids=lambda message: type(message).__name__,
)  # fmt: skip
def test_what_is_encoded_is_parsed(message: AnyMessage) -> None:
    assert parse(encode(message)) == message


@pytest.mark.parametrize("encoding", ["coco_rle", "labelmap_png", "labelmap_zstd"])
def test_a_frame_survives(encoding: str) -> None:
    message = parse(frame_packet(encoding, with_jpeg=True))
    assert isinstance(message, FrameMessage)
    assert parse(encode(message)) == message
    assert [entry.track_id for entry in message.instances] == [3, 4]
    assert message.instances[0].bbox_xywh == (2, 1, 6, 5)
    assert message.instances[0].area == 30
    assert (message.instances[0].offset is None) == (encoding != "coco_rle")


@pytest.mark.parametrize(
    ("encoding", "place"), [("coco_rle", ["offset", "length"]), ("labelmap_png", [])]
)
def test_an_instance_has_its_documented_members(encoding: str, place: list[str]) -> None:
    first, _ = json.loads(frame_packet(encoding)[1])["instances"]
    named = ["track_id", "category_id", "category", "score", "bbox", "area"]
    assert list(first) == [*named, *place]


def test_the_header_is_plain_compact_json() -> None:
    header = packets()["eos"][1]
    assert header == (
        b'{"schema":"vistr-masks","version":1,"type":"eos","run":"' + RUN.encode() + b'",'
        b'"stream":"cam1","epoch":1,"seq":4,"reason":"stopped","frames":5,"dropped":2}'
    )


def test_the_example_of_the_documentation_is_a_packet() -> None:
    text = (ROOT / "docs" / "wire-format.md").read_text("utf-8")
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL))
    message = parse([b"masks/cam1/", blocks["json"].encode(), bytes.fromhex(blocks["hex"])])
    assert isinstance(message, FrameMessage)
    labels = ReceivedFrame.of(message, 0, 0).labels()
    drawn = [line.split() for line in text.split("\n") if line.startswith("    . ")]
    assert [["." if label == 0 else str(label) for label in row] for row in labels] == drawn
    assert len(blocks["json"].replace("\n", "")) == 564


def test_the_topic_ends_in_a_slash() -> None:
    assert topic("cam1") == b"masks/cam1/"


def test_a_score_a_hair_over_one_is_one() -> None:
    message = frame_message(frame_result(0, scores={1: 1.0000001}))
    assert message.instances[0].score == 1


def test_unknown_members_are_ignored() -> None:
    packet = packets()["eos"]
    assert parse(altered(packet, lambda h: h.update(added_later=[1]))) == parse(packet)


WRONG_IN_ANY: list[tuple[dict[str, Any], str]] = [
    ({"schema": "other"}, "schema is 'other'"),
    ({"version": 2}, "version is 2"),
    ({"version": True}, "version is True"),
    ({"type": "banana"}, "type is 'banana'; allowed: frame or hello or"),
    ({"type": ["frame"]}, "type is"),
    ({"run": "../../etc"}, "allowed: a UUID"),
    ({"stream": "a/b"}, "name without a slash"),
    ({"stream": ""}, "name without a slash"),
    ({"stream": "\ud800"}, "stream is"),
    ({"stream": "x" * 1001}, "stream is"),
    ({"stream": "cam2"}, "is not that of stream 'cam2'"),
    ({"seq": -1}, "seq is -1"),
    ({"seq": 1.0}, "seq is 1.0"),
    ({"seq": 2**63}, "seq is"),
    ({"epoch": None}, "epoch is None"),
]
WRONG_IN_FRAME: list[tuple[dict[str, Any], str]] = [
    ({"time_base": [1, 0]}, "time_base"),
    ({"time_base": [1]}, "time_base"),
    ({"time_base": [1, 2**63]}, "time_base"),
    ({"time_s": "0"}, "time_s"),
    ({"time_s": 10**400}, "time_s"),
    ({"capture_unix_ns": 1}, "capture_clock is None"),
    ({"capture_clock": "camera"}, "capture_clock is 'camera'; allowed: null"),
    ({"capture_unix_ns": -(2**63) - 1, "capture_clock": "camera"}, "capture_unix_ns is -92"),
    ({"size": [0, 16]}, "size"),
    ({"size": [70_000, 1]}, "65535 pixels a side"),
    ({"size": [65_000, 65_000]}, "134217728 in all"),
    ({"size": [12, 15]}, "not in 15x12"),
    ({"size": [13, 16]}, "not to the 208 pixels"),
    ({"interpolated": 0}, "interpolated is 0"),
    ({"dropped": -1}, "dropped"),
    ({"encoding": "coco"}, "encoding is 'coco'"),
    ({"encoding": "labelmap_png"}, r"instances\[0\]: offset is 0; allowed: nothing"),
    ({"instances": {}}, "instances is {}"),
    ({"instances": [1]}, "list of at most 65535 objects"),
    ({"instances": []}, "the masks end at byte 0"),
]
WRONG_IN_INSTANCE: list[tuple[dict[str, Any], str]] = [
    ({"track_id": "1"}, r"instances\[0\]: track_id is '1'"),
    ({"category": 1}, "category is 1"),
    ({"score": 1.5}, "score is 1.5"),
    ({"score": True}, "score is True"),
    ({"bbox": [2, 1, 6]}, "bbox"),
    ({"bbox": [2, 1, 0, 5]}, "bbox"),
    ({"bbox": [11, 1, 6, 5]}, "bbox"),
    ({"area": 31}, "area is 31; allowed: an integer from 1 to 30"),
    ({"offset": 1}, "masks follow one another"),
    ({"length": 10_000}, "masks follow one another"),
    ({"length": 0}, "length is 0"),
]


@pytest.mark.parametrize(("change", "complaint"), WRONG_IN_ANY, ids=lambda value: str(value)[:30])
def test_a_wrong_envelope_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        parse(altered(packets()["heartbeat"], lambda header: header.update(change)))


@pytest.mark.parametrize(("change", "complaint"), WRONG_IN_FRAME, ids=lambda value: str(value)[:30])
def test_a_wrong_frame_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        parse(altered(frame_packet(), lambda header: header.update(change)))


@pytest.mark.parametrize(
    ("change", "complaint"), WRONG_IN_INSTANCE, ids=lambda value: str(value)[:30]
)
def test_a_wrong_instance_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        parse(altered(frame_packet(), lambda header: header["instances"][0].update(change)))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("hello", {"categories": [1]}),
        ("hello", {"categories": "person"}),
        ("hello", {"stride": 0}),
        ("hello", {"masks": 1}),
        ("hello", {"size": [0, 0]}),
        ("gap", {"reason": "tired"}),
        ("gap", {"missing": -1}),
        ("eos", {"reason": None}),
        ("eos", {"frames": 0.5}),
        ("heartbeat", {"publish_unix_ns": "now"}),
    ],
)
def test_other_wrong_messages_are_refused(kind: str, change: dict[str, Any]) -> None:
    with pytest.raises(WireError, match=next(iter(change))):
        parse(altered(packets()[kind], lambda header: header.update(change)))


@pytest.mark.parametrize("kind", ["hello", "frame", "heartbeat", "gap", "eos"])
def test_every_member_is_needed(kind: str) -> None:
    packet = packets()[kind]
    for name in json.loads(packet[1]):
        with pytest.raises(WireError, match=name):
            parse(altered(packet, lambda header, name=name: header.pop(name)))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ([], "3 or 4 parts"),
        ([b"masks/cam1/"], "3 or 4 parts"),
        ([b"", b"", b""], "not JSON"),
        ([b"", b"\xff", b""], "not JSON"),
        ([b"", b"[" * 100_000, b""], "not JSON"),
        ([b"", b"1" * 5000, b""], "not JSON"),
        ([b"", b'{"a":NaN}', b""], "NaN is not JSON"),
        ([b"", b"[]", b""], "not an object"),
        ([b"", b" " * (MAX_HEADER_BYTES + 1), b""], "a header of"),
    ],
)  # fmt: skip
def test_what_is_no_packet_is_refused(parts: list[bytes], complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        parse(parts)


def test_a_packet_has_the_parts_of_its_type() -> None:
    with pytest.raises(WireError, match="heartbeat packet has"):
        parse([*packets()["heartbeat"], b""])
    with pytest.raises(WireError, match="frame packet has"):
        parse([*frame_packet(with_jpeg=True), b""])
    with pytest.raises(WireError, match="frame packet has"):
        parse(frame_packet()[:2])


def test_one_mask_cannot_be_asked_for_twice() -> None:
    def double(header: dict[str, Any]) -> None:
        header["instances"] = [header["instances"][0]] * 2

    with pytest.raises(WireError, match="masks follow one another"):
        parse(altered(frame_packet(), double))


def test_more_run_lengths_than_a_mask_can_have_are_refused() -> None:
    counts = b"P6" + 400 * b"0"  # all 192 pixels, and 400 runs of none

    def widen(header: dict[str, Any]) -> None:
        header["instances"] = [header["instances"][0] | {"length": len(counts)}]

    packet = altered(frame_packet(), widen)
    with pytest.raises(WireError, match="instance 0: 402 characters of run lengths for 16x12"):
        parse([*packet[:2], counts])


def test_a_payload_of_another_kind_is_refused() -> None:
    packet = frame_packet("labelmap_png")
    with pytest.raises(WireError, match="not a 16-bit greyscale PNG of 16x12"):
        parse([*packet[:2], b"GIF89a"])


@pytest.mark.parametrize(
    ("encoding", "part", "complaint"),
    [
        ("labelmap_png", 2, "not a 16-bit greyscale PNG of 16x12"),
        ("labelmap_zstd", 2, "declares 40 bytes for 16x12"),
        ("coco_rle", 3, r"the JPEG's size is \(4, 5\), its frame's is \(12, 16\)"),
    ],
)
def test_a_payload_of_another_size_is_refused(encoding: str, part: int, complaint: str) -> None:
    pytest.importorskip("zstandard")
    size = (4, 5)
    masks, _ = encode_masks(size, [], "labelmap_png" if part == 3 else encoding)  # type: ignore[arg-type]
    packet = frame_packet(encoding, with_jpeg=True)
    packet[part] = encode_jpeg(np.zeros((*size, 3), np.uint8), 85) if part == 3 else masks
    with pytest.raises(WireError, match=complaint):
        parse(packet)


@FEW
@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_are_parsed_or_refused(parts: list[bytes]) -> None:
    with pytest.raises(WireError):
        parse(parts)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@FEW
@given(st.sampled_from(["hello", "frame", "heartbeat", "gap", "eos"]), st.data())
def test_any_value_in_any_member_is_parsed_or_refused(kind: str, data: st.DataObject) -> None:
    def change(header: dict[str, Any]) -> None:
        within = header
        if kind == "frame" and data.draw(st.booleans()):
            within = header["instances"][data.draw(st.integers(0, 1))]
        within[data.draw(st.sampled_from(sorted(within)))] = data.draw(ANY_JSON)

    try:
        decode(parse(altered(packets()[kind], change)))
    except StreamError as error:
        assert isinstance(error, WireError)  # noqa: PT017 - not raising at all is right as well


@FEW
@given(st.sampled_from(["coco_rle", "labelmap_png", "labelmap_zstd"]), st.data())
def test_damaged_packets_are_parsed_or_refused(encoding: str, data: st.DataObject) -> None:
    packet = frame_packet(encoding)
    part = bytearray(packet[data.draw(st.integers(1, 2))])
    part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    changed = [packet[0], *(bytes(part) if len(p) == len(part) else p for p in packet[1:])]
    try:
        decode(parse(changed))
    except StreamError as error:
        assert isinstance(error, WireError)  # noqa: PT017


def test_a_run_is_told_in_one_spelling() -> None:
    packet = altered(packets()["gap"], lambda header: header.update(run=RUN.upper()))
    assert parse(packet).run == RUN


def test_a_gap_to_another_size_brings_a_hello_that_says_it() -> None:
    made = writer()
    made.write(frame_result(0, SIZE))
    gap, hello = map(parse, made.write(Gap(epoch((6, 8), 1, "size"))))
    assert isinstance(gap, GapMessage)
    assert isinstance(hello, HelloMessage)
    assert hello.size == (6, 8)
