"""What a reader gets: a frame off the wire whose masks and image are decoded on demand."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streamer.wire.image_decoding import decode_jpeg
from streamer.wire.mask_codec import decode_label_map, decode_mask
from streamer.wire.messages import FrameMessage, InstanceEntry


class Masks:
    """The masks of one message; a label map is decoded once for all of them."""

    __slots__ = ("_labels", "_message")

    def __init__(self, message: FrameMessage) -> None:
        self._message = message
        self._labels: NDArray[np.uint16] | None = None

    def mask(self, position: int) -> NDArray[np.bool_]:
        """The mask of one instance, as bool [H, W]."""
        if self._message.encoding == "coco_rle":
            return decode_mask(self._message, position)
        return np.equal(self.labels(), position + 1)

    def labels(self) -> NDArray[np.uint16]:
        """uint16 [H, W]: 0, or 1 + the position in `instances`; later ones lie on top."""
        if self._labels is None:
            self._labels = self._read_labels()
        return self._labels

    def _read_labels(self) -> NDArray[np.uint16]:
        if self._message.encoding != "coco_rle":
            return decode_label_map(self._message)
        labels = np.zeros(self._message.size, dtype=np.uint16)
        for position in range(len(self._message.instances)):
            labels[decode_mask(self._message, position)] = position + 1
        return labels


@dataclass(frozen=True, slots=True, eq=False)
class ReceivedInstance(InstanceEntry):
    """One object of a received frame.

    Attributes:
        position: Its place in the frame's `instances`.
    """

    position: int
    _masks: Masks = field(repr=False)

    def mask(self) -> NDArray[np.bool_]:
        """Its pixels as bool [H, W]; of a label map, those that no later object hides.

        Raises:
            WireError: The payload is broken.
            ConfigError: Its encoding needs a package that is not installed.
        """
        return self._masks.mask(self.position)


@dataclass(frozen=True, slots=True, eq=False)
class ReceivedFrame(FrameMessage):
    """A frame with everything that its header says, see `FrameMessage`, and what the reader adds.

    Attributes:
        instances: What is in it, best score first.
        lost: Messages of the stream that did not arrive, or were malformed, between the frame
            before and this one.
        received_unix_ns: When it arrived, nanoseconds since 1970.
    """

    instances: tuple[ReceivedInstance, ...]
    _masks: Masks = field(repr=False)
    lost: int
    received_unix_ns: int

    @classmethod
    def of(cls, message: FrameMessage, lost: int, received_unix_ns: int) -> Self:
        """A message as it was received."""
        masks = Masks(message)
        members = {part.name: getattr(message, part.name) for part in fields(message)}
        members["instances"] = tuple(
            ReceivedInstance(
                **{part.name: getattr(entry, part.name) for part in fields(entry)},
                position=position,
                _masks=masks,
            )
            for position, entry in enumerate(message.instances)
        )
        return cls(**members, _masks=masks, lost=lost, received_unix_ns=received_unix_ns)

    @property
    def latency_ms(self) -> float:
        """Milliseconds from publishing to receipt, by the two machines' clocks."""
        return (self.received_unix_ns - self.publish_unix_ns) / 1e6

    def labels(self) -> NDArray[np.uint16]:
        """uint16 [H, W]: 0, or 1 + the position in `instances`; later ones lie on top.

        Raises:
            WireError: The payload is broken.
            ConfigError: Its encoding needs a package that is not installed.
        """
        return self._masks.labels().copy()

    def image(self) -> NDArray[np.uint8] | None:
        """The image as uint8 [H, W, 3], RGB, or None where the publisher sends none.

        Raises:
            WireError: It is broken or of another size.
        """
        return None if self.jpeg is None else decode_jpeg(self.jpeg, self.size)
