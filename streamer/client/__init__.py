"""The reader's side of a stream; imports neither PyTorch nor the network."""

from __future__ import annotations

from streamer.client.received import ReceivedFrame, ReceivedInstance
from streamer.client.subscriber import MaskSubscriber, SilenceError
from streamer.curve import ReaderKeys

__all__ = ["MaskSubscriber", "ReaderKeys", "ReceivedFrame", "ReceivedInstance", "SilenceError"]
