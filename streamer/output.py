"""What leaves the pipeline: finished frames with their instances, gaps, and the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamer.frame import Epoch, Frame
from streamer.mask import Mask, label_map

EndReason = Literal["end", "stopped", "failed"]


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One object in one frame.

    Attributes:
        track_id: The object's identity: unique for the run, never reused.
        category_id: As the weights number their categories.
        category: Its name.
        score: In [0, 1].
        segment: Its pixels.
    """

    track_id: int
    category_id: int
    category: str
    score: float
    segment: Mask

    def mask(self) -> NDArray[np.bool_]:
        """The mask as bool [H, W]."""
        return self.segment.array()

    @property
    def bbox_xywh(self) -> tuple[int, int, int, int]:
        """The mask's tight box in pixels: left, top, width, height."""
        return self.segment.bbox_xywh


@dataclass(frozen=True, slots=True, eq=False)
class FrameResult:
    """A finished frame.

    Attributes:
        frame: The frame itself.
        instances: What is in it, best score first.
        interpolated: Whether the frame was left out of the windows and its masks come from its
            neighbours.
        dropped: The source's frames without a result between the result before and this one: what
            was decoded and dropped, and what was left undecoded to catch up.
    """

    frame: Frame
    instances: tuple[Instance, ...]
    interpolated: bool = False
    dropped: int = 0

    def labels(self) -> NDArray[np.uint16]:
        """uint16 [H, W]: 0, or 1 + the position in `instances`; later ones lie on top."""
        return label_map(self.frame.epoch.size, (instance.segment for instance in self.instances))


@dataclass(frozen=True, slots=True)
class Gap:
    """A new epoch begins: nothing that follows continues what came before.

    Attributes:
        epoch: The epoch that begins.
    """

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """The last word of a run to its sinks.

    Attributes:
        reason: ``end`` (the source ended), ``stopped`` (somebody asked), ``failed``.
        frames: Results that were handed to the sinks.
        dropped: The source's frames without a result, decoded or not.
    """

    reason: EndReason
    frames: int
    dropped: int


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What does not change during a run.

    Attributes:
        stream: The stream's name, part of the topic.
        categories: Names by category id; position 0 is a dummy.
        window: Frames in a window.
        stride: New frames per window.
        live: Whether the source is live (endless, and frames may be dropped).
        run: A UUID; a restarted process is a new run.
        masks: Whether masks are the network's, not just the boxes' pixels.
    """

    stream: str
    categories: tuple[str, ...]
    window: int
    stride: int
    live: bool
    run: str
    masks: bool = True


Output = StreamInfo | FrameResult | Gap | EndOfStream
"""What a sink gets, in this order: the info first, the end last."""
