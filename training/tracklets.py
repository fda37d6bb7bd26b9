"""People cut from a video of a fixed camera, by background subtraction.

Only people who stand alone are cut, so that their masks are clean: a component of the foreground
that has the shape of a person, away from the picture's border and from other components.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.errors import SourceError

BACKGROUND_STEP = 5
"""Every how many frames one counts for the background's median."""

THRESHOLD = 28
"""Difference from the background, in the channel with the largest, that makes foreground."""

HEIGHTS = (45, 200)
"""Allowed heights of a person in pixels."""

ASPECTS = (1.7, 4.2)
"""Allowed ratios of a person's height to their width."""

FILLED = (0.3, 0.85)
"""Allowed shares of the box that a person fills."""

MARGIN = 6
"""Free pixels around a person: to the picture's border and to others."""

LIMB = (5, 3)
"""Height and width in pixels of what is too thin to belong to a person, such as barrier tape."""

SHADOW = (0.5, 0.95)
"""Brightness of a cast shadow as a share of the ground's."""

SHADOW_TINT = 0.12
"""Largest difference of that share between the colour channels."""

FEET = 0.75
"""From which part of a person's height on downwards shadows are looked for."""

SPECK = 40
"""Area in pixels up to which a component is noise that nobody minds nearby."""

JUMP = 0.18
"""Largest relative change of height or, in heights, of place between two frames: a larger one means
that a part of the person is hidden, or that it is somebody else."""

SHORTEST = 6
"""Frames that a tracklet has at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracklet:
    """One person in consecutive frames.

    Attributes:
        first: Index of the first frame in the video.
        boxes: int64 [n, 4], x, y, width and height in pixels of the video.
        cutouts: uint8 [height, width, 4] each, RGB, black outside of the mask, and the mask (0 or
            255).
    """

    first: int
    boxes: NDArray[np.int64]
    cutouts: tuple[NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return len(self.cutouts)


@dataclass(slots=True, eq=False)
class _Growing:
    first: int
    boxes: list[NDArray[np.int64]] = field(default_factory=list)
    cutouts: list[NDArray[np.uint8]] = field(default_factory=list)


def read_frames(video: Path, frames: range) -> Iterator[NDArray[np.uint8]]:
    """Frames of a video by index, uint8 [H, W, 3] RGB; ends early where the video does.

    Raises:
        SourceError: It cannot be read.
    """
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise SourceError(f"{video}: cannot be read as a video: there is none in it")
            for index, frame in enumerate(container.decode(video=0)):
                if index >= frames.stop:
                    return
                if index in frames:
                    yield frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    except av.FFmpegError as error:
        raise SourceError(f"{video}: cannot be read as a video: {error.strerror}") from error


def median_background(video: Path, frames: range) -> NDArray[np.uint8]:
    """The scene without people, uint8 [H, W, 3]: the median of every fifth frame.

    Raises:
        SourceError: The video cannot be read, or ends before one of these frames.
    """
    wanted = frames[::BACKGROUND_STEP]
    sampled = list(read_frames(video, wanted))
    if len(sampled) < len(wanted):
        raise SourceError(
            f"{video}: ends before frame {wanted[len(sampled)]}, expected {frames.stop} frames"
        )
    middle: NDArray[np.uint8] = np.median(np.stack(sampled), axis=0).astype(np.uint8)
    return middle


def cut_tracklets(
    video: Path,
    frames: range,
    background: NDArray[np.uint8],
    excluded: Collection[tuple[int, int]] = (),
) -> tuple[Tracklet, ...]:
    """Cut the people out of a stretch of a video.

    Args:
        video: Of a camera that does not move.
        frames: Indices of the frames to use.
        background: The scene without people, uint8 [H, W, 3].
        excluded: (first frame, x of the first box) of tracklets to leave out, such as two people
            that hide each other.

    Returns:
        Tracklets in the order in which they end.

    Raises:
        SourceError: The video cannot be read.
    """
    growing: list[_Growing] = []
    done: list[_Growing] = []
    for index, frame in zip(frames, read_frames(video, frames), strict=False):
        labels, boxes = _people(frame, background)
        kept = []
        for label, found in boxes:
            box, cutout = _cut(frame, background, labels == label, found)
            track = next((t for t in growing if _continues(t.boxes[-1], box)), None)
            if track is None:
                track = _Growing(index)
            else:
                growing.remove(track)
            track.boxes.append(box)
            track.cutouts.append(cutout)
            kept.append(track)
        done += growing
        growing = kept
    return tuple(
        Tracklet(track.first, np.stack(track.boxes), tuple(track.cutouts))
        for track in done + growing
        if len(track.boxes) >= SHORTEST and (track.first, track.boxes[0][0]) not in excluded
    )


def _people(
    frame: NDArray[np.uint8], background: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], list[tuple[int, NDArray[np.int64]]]]:
    """Component labels [H, W], and the label and box of each component that is a person alone."""
    difference = cv2.absdiff(frame, background).max(axis=2)
    foreground = (difference > THRESHOLD).astype(np.uint8)
    foreground = cv2.morphologyEx(foreground, cv2.MORPH_CLOSE, np.ones((7, 5), np.uint8))
    foreground = cv2.morphologyEx(foreground, cv2.MORPH_OPEN, np.ones(LIMB, np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(foreground)
    boxes = stats[1:, :4].astype(np.int64)
    areas = stats[1:, cv2.CC_STAT_AREA]
    people = []
    for position, box in enumerate(boxes):
        others = boxes[(areas > SPECK) & (np.arange(len(boxes)) != position)]
        if _is_person(box, int(areas[position])) and _is_alone(box, others, labels.shape):
            people.append((position + 1, box))
    return labels.astype(np.int32, copy=False), people


def _cut(
    frame: NDArray[np.uint8],
    background: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    box: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Cut a person out without the shadow at their feet; the box that remains, and the cutout."""
    x, y, width, height = box.tolist()
    inside = np.s_[y : y + height, x : x + width]
    pixels, person = frame[inside], mask[inside].copy()
    shares = (pixels + 1.0) / (background[inside] + 1.0)
    dark = (shares.min(axis=2) > SHADOW[0]) & (shares.max(axis=2) < SHADOW[1])
    shadow = dark & (np.ptp(shares, axis=2) < SHADOW_TINT)
    shadow[: int(FEET * height)] = False
    person &= ~shadow
    opened = cv2.morphologyEx(person.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, parts, stats, _ = cv2.connectedComponentsWithStats(opened)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    x0, y0, w0, h0 = stats[largest, :4].tolist()
    kept = np.s_[y0 : y0 + h0, x0 : x0 + w0]
    alpha = (parts[kept] == largest) * np.uint8(255)
    # Black around the person, or the ground would bleed into their edge when they are scaled.
    alone = pixels[kept] * (alpha[..., None] > 0)
    return np.array([x + x0, y + y0, w0, h0]), np.dstack((alone, alpha))


def _is_person(box: NDArray[np.int64], area: int) -> bool:
    width, height = int(box[2]), int(box[3])
    fits = HEIGHTS[0] <= height <= HEIGHTS[1] and ASPECTS[0] <= height / width <= ASPECTS[1]
    return fits and FILLED[0] <= area / (width * height) <= FILLED[1]


def _is_alone(box: NDArray[np.int64], others: NDArray[np.int64], size: tuple[int, ...]) -> bool:
    near, far = box[:2] - MARGIN, box[:2] + box[2:] + MARGIN
    if (near < 0).any() or (far > [size[1], size[0]]).any():
        return False
    touching = (others[:, :2] < far) & (others[:, :2] + others[:, 2:] > near)
    return not bool(touching.all(axis=1).any())


def _continues(last: NDArray[np.int64], box: NDArray[np.int64]) -> bool:
    """Whether a box is where and how the same person would be a frame later."""
    height = int(last[3])
    feet = box[:2] + box[2:] * [0.5, 1] - last[:2] - last[2:] * [0.5, 1]
    return bool(abs(int(box[3]) - height) <= JUMP * height and np.abs(feet).max() <= JUMP * height)
