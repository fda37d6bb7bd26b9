"""The wire format `vistr-masks` version 1: messages as multipart ZeroMQ packets, and back.

``docs/wire-format.md`` describes it byte by byte. `parse` checks everything that it hands out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final, cast, get_args

from streamer.errors import ConfigError, WireError
from streamer.frame import CaptureClock, EpochReason
from streamer.output import EndReason
from streamer.wire.fields import MAX_SIDE, Fields
from streamer.wire.image_decoding import check_jpeg, check_png
from streamer.wire.mask_codec import check_zstd
from streamer.wire.messages import (
    AnyMessage,
    Encoding,
    EosMessage,
    FrameMessage,
    GapMessage,
    HeartbeatMessage,
    HelloMessage,
    InstanceEntry,
    Message,
)
from streamer.wire.run_lengths import check_length, check_runs, run_lengths

SCHEMA: Final = "vistr-masks"
VERSION: Final = 1
TOPIC_ROOT: Final = b"masks/"

MAX_INSTANCES = 65_535
"""Most instances of a frame: what a label map can number."""
MAX_HEADER_BYTES = 2**21

ENCODINGS: Final[tuple[Encoding, ...]] = get_args(Encoding)
CAPTURE_CLOCKS: Final[tuple[CaptureClock, ...]] = get_args(CaptureClock)
EPOCH_REASONS: Final[tuple[EpochReason, ...]] = get_args(EpochReason)
END_REASONS: Final[tuple[EndReason, ...]] = get_args(EndReason)
TYPES: Final[dict[type[Message], str]] = {
    FrameMessage: "frame",
    HelloMessage: "hello",
    HeartbeatMessage: "heartbeat",
    GapMessage: "gap",
    EosMessage: "eos",
}


def topic(stream: str) -> bytes:
    """Part 0 of a stream's messages; the slash at its end keeps `cam1` from matching `cam10`."""
    return TOPIC_ROOT + stream.encode() + b"/"


def encode(message: AnyMessage) -> list[bytes]:
    """A message as the parts of a packet: topic, header, payload, and the image if there is one.

    Raises:
        ValueError: A number is not finite.
    """
    header: dict[str, Any] = {"schema": SCHEMA, "version": VERSION, "type": TYPES[type(message)]}
    header |= asdict(message)
    payload = header.pop("payload", b"")
    jpeg = header.pop("jpeg", None)
    if "instances" in header:
        header["instances"] = [_entry(entry) for entry in header["instances"]]
    text = json.dumps(header, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    parts = [topic(message.stream), text.encode(), payload]
    return parts if jpeg is None else [*parts, jpeg]


def _entry(members: dict[str, Any]) -> dict[str, Any]:
    """An instance as the header has it; without the place in a payload that a label map is."""
    return {
        "bbox" if name == "bbox_xywh" else name: value
        for name, value in members.items()
        if value is not None
    }


def parse(parts: Sequence[bytes]) -> AnyMessage:
    """The message that a packet holds.

    Masks and images are decoded later and on demand, but what their headers and run lengths say
    is checked here, before anything of their size is allocated.

    Raises:
        WireError: Something is missing, of the wrong type, out of range or contradictory.
    """
    if len(parts) < 2:
        raise WireError(f"a packet has 3 or 4 parts, not {len(parts)}")
    if len(parts[1]) > MAX_HEADER_BYTES:
        raise WireError(f"a header of {len(parts[1])} bytes; allowed: at most {MAX_HEADER_BYTES}")
    fields = Fields.parse(parts[1])
    fields.choice("schema", (SCHEMA,))
    fields.integer("version", low=VERSION, high=VERSION)
    kind = fields.choice("type", tuple(PARSERS))
    allowed_parts = (3, 4) if kind == "frame" else (3,)
    if len(parts) not in allowed_parts:
        raise WireError(f"a {kind} packet has {allowed_parts} parts, not {len(parts)}")
    envelope = _envelope(fields)
    if parts[0] != topic(envelope.stream):
        raise WireError(f"topic {parts[0][:80]!r} is not that of stream {envelope.stream!r}")
    return PARSERS[kind](envelope, fields, parts[2:])


def _envelope(fields: Fields) -> Message:
    run, stream = fields.text("run"), fields.text("stream")
    try:
        canonical = str(uuid.UUID(run))
    except ValueError as error:
        raise WireError(f"run is {run!a}; allowed: a UUID") from error
    if not stream or "/" in stream:
        raise WireError(f"stream is {stream!a}; allowed: a name without a slash")
    return Message(
        run=canonical, stream=stream, epoch=fields.integer("epoch"), seq=fields.integer("seq")
    )


def _frame(envelope: Message, fields: Fields, body: Sequence[bytes]) -> FrameMessage:
    numerator, denominator = fields.integers("time_base", count=2, low=1)
    # By a camera's clock, which may be anything.
    capture_unix_ns = fields.optional_integer("capture_unix_ns", low=-(2**63))
    clock: CaptureClock | None = None
    if capture_unix_ns is None:
        fields.null("capture_clock")
    else:
        clock = fields.choice("capture_clock", CAPTURE_CLOCKS)
    size = fields.size("size")
    encoding = fields.choice("encoding", ENCODINGS)
    entries = fields.objects("instances", most=MAX_INSTANCES)
    own_masks = encoding == "coco_rle"
    message = FrameMessage(
        **asdict(envelope),
        frame=fields.integer("frame"),
        pts=fields.optional_integer("pts", low=-(2**63)),
        time_base=(numerator, denominator),
        time_s=fields.number("time_s"),
        capture_unix_ns=capture_unix_ns,
        capture_clock=clock,
        publish_unix_ns=fields.integer("publish_unix_ns"),
        size=size,
        interpolated=fields.flag("interpolated"),
        dropped=fields.integer("dropped"),
        encoding=encoding,
        instances=tuple(_instance(entry, size, own_masks=own_masks) for entry in entries),
        payload=bytes(body[0]),
        jpeg=bytes(body[1]) if len(body) > 1 else None,
    )
    _check_payload(message)
    return message


def _instance(fields: Fields, size: tuple[int, int], *, own_masks: bool) -> InstanceEntry:
    left, top, width, height = fields.integers("bbox", count=4)
    if not (1 <= width <= size[1] - left and 1 <= height <= size[0] - top):
        raise WireError(f"bbox {[left, top, width, height]} is not in {size[1]}x{size[0]}")
    if not own_masks:
        fields.absent("offset")
        fields.absent("length")
    return InstanceEntry(
        track_id=fields.integer("track_id"),
        category_id=fields.integer("category_id"),
        category=fields.text("category"),
        score=fields.number("score", low=0, high=1),
        bbox_xywh=(left, top, width, height),
        area=fields.integer("area", low=1, high=width * height),
        offset=fields.integer("offset") if own_masks else None,
        length=fields.integer("length", low=1) if own_masks else None,
    )


def _check_payload(message: FrameMessage) -> None:
    """Refuse a payload that its entries do not describe exactly."""
    if message.jpeg is not None:
        check_jpeg(message.jpeg, message.size)
    if message.encoding == "labelmap_png":
        check_png(message.payload, message.size)
    elif message.encoding == "labelmap_zstd":
        with suppress(ConfigError):  # without its package nothing will be decoded
            check_zstd(message.payload, message.size)
    if message.encoding != "coco_rle":
        return
    end = 0
    for position, entry in enumerate(message.instances):
        start, length = cast("int", entry.offset), cast("int", entry.length)
        # One after another: else a small packet could ask for the same large mask many times.
        if start != end or length > len(message.payload) - start:
            raise WireError(
                f"instance {position}: offset {start}, length {length} after byte {end} of "
                f"{len(message.payload)}; masks follow one another"
            )
        end = start + length
        check_length(length, message.size, position)
        check_runs(run_lengths(message.payload[start:end]), message.size, position)
    if end != len(message.payload):
        raise WireError(f"the masks end at byte {end} of {len(message.payload)}")


def _hello(envelope: Message, fields: Fields, _: Sequence[bytes]) -> HelloMessage:
    return HelloMessage(
        **asdict(envelope),
        size=fields.optional_size("size"),
        categories=fields.texts("categories", most=MAX_SIDE),
        encoding=fields.choice("encoding", ENCODINGS),
        stride=fields.integer("stride", low=1),
        window=fields.integer("window", low=1),
        masks=fields.flag("masks"),
    )


def _heartbeat(envelope: Message, fields: Fields, _: Sequence[bytes]) -> HeartbeatMessage:
    return HeartbeatMessage(**asdict(envelope), publish_unix_ns=fields.integer("publish_unix_ns"))


def _gap(envelope: Message, fields: Fields, _: Sequence[bytes]) -> GapMessage:
    return GapMessage(
        **asdict(envelope),
        reason=fields.choice("reason", EPOCH_REASONS),
        missing=fields.optional_integer("missing"),
    )


def _eos(envelope: Message, fields: Fields, _: Sequence[bytes]) -> EosMessage:
    return EosMessage(
        **asdict(envelope),
        reason=fields.choice("reason", END_REASONS),
        frames=fields.integer("frames"),
        dropped=fields.integer("dropped"),
    )


PARSERS: Final[dict[str, Callable[[Message, Fields, Sequence[bytes]], AnyMessage]]] = {
    "frame": _frame,
    "hello": _hello,
    "heartbeat": _heartbeat,
    "gap": _gap,
    "eos": _eos,
}
