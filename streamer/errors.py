"""The errors of this package, as a tree, each with the exit code of the command line.

    StreamError               1   anything that ends a stream
    ├── SourceError           1   the input cannot be opened, read or decoded
    │   ├── UnforeseenError   1   reading failed in a way that says nothing of the input
    │   └── UnfitError        1   the run cannot take the frames: their size, shape or region
    ├── CheckpointError       1   the weights cannot be loaded
    ├── DeviceError           1   the device is absent, out of memory, or fails
    ├── SinkError             1   an output cannot be opened or written
    ├── WireError             1   a message, or a mask in it, is not as the wire format says
    ├── SilenceError          1   a reader heard nothing for too long, not even a heartbeat
    └── ConfigError           2   an argument or config value is malformed or out of range

Errors of other libraries are translated into one of these once, where they enter, with ``from``.
A message says what is wrong, with which value, and what is allowed.
"""

from __future__ import annotations


class StreamError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 1


class SourceError(StreamError):
    """The input cannot be opened, read or decoded."""


class UnforeseenError(SourceError):
    """Reading failed in a way that says nothing of the input: an error of ours, or no memory."""


class UnfitError(SourceError):
    """Frames that the run cannot take: their size, their shape, or the region in them."""


class CheckpointError(StreamError):
    """The weights cannot be loaded (raised by `model`, translated at its border)."""


class DeviceError(StreamError):
    """The device is absent, out of memory or fails, or its outputs are not finite."""


class SinkError(StreamError):
    """An output cannot be opened or written."""


class WireError(StreamError):
    """A message, or a mask in it, is not as the wire format says."""


class SilenceError(StreamError, TimeoutError):
    """Nothing came from the publisher for too long, not even a heartbeat."""


class ConfigError(StreamError):
    """An argument or a config value is malformed or out of range."""

    exit_code = 2
