"""The reader's side of a stream; imports neither PyTorch nor the network."""

from __future__ import annotations

from streamer.client.received import ReceivedFrame, ReceivedInstance
from streamer.client.subscriber import MaskSubscriber
from streamer.errors import ConfigError, SilenceError, StreamError, WireError
from streamer.wire.curve import ReaderKeys
from streamer.wire.messages import EosMessage, HelloMessage

__all__ = [
    "ConfigError",
    "EosMessage",
    "HelloMessage",
    "MaskSubscriber",
    "ReaderKeys",
    "ReceivedFrame",
    "ReceivedInstance",
    "SilenceError",
    "StreamError",
    "WireError",
]
