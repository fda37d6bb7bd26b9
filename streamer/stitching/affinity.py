"""How alike a window's slots and the known tracks are, in [0, 1].

Constants that name no source: set by hand; that of colours was chosen on the 21 labelled frames of
the shipped clip (``tests/real_clip``) and on composed streams of people.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamer.stitching.track import Sighting, Track, whole_size

MASK_WEIGHT, CLASS_WEIGHT, APPEARANCE_WEIGHT = 0.8, 0.1, 0.1
"""Masks decide where both are seen in one frame; the rest settles what they leave open. Class and
appearance alone stay under any sensible acceptance."""

CONTRADICTION_IOU = 0.05
"""Seen in one frame with less soft IoU than this are two objects, however alike they look.
Source: IFC's acceptance (Hwang et al., NeurIPS 2021, public code)."""

COSINE_FLOOR = 0.5
"""Cosine similarity that says nothing: embeddings of different objects of one class reach it."""

NEUTRAL_BHATTACHARYYA = 0.93
"""Bhattacharyya coefficient of colours, 1 of equal ones, that says nothing: those of two people
reach 0.85 in the mean, those of one some frames later 0.96."""

BOX_SIGMA = 0.5
"""Standard deviation of an object's next centre, in widths (heights) of its box."""

DRIFT_PER_FRAME = 0.02
"""Growth of that deviation with every frame not seen, in widths (heights) of the box."""


def mask_affinity(
    iou: NDArray[np.float32], agreement: NDArray[np.float32], appearance: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Affinity of pairs that are seen in one frame.

    Args:
        iou: float32 [n, P], soft mask IoU over the overlap.
        agreement: float32 [n, P], as `class_agreement` gives it.
        appearance: float32 [n, P], as `appearance_cosine` gives it.

    Returns:
        float32 [n, P]; 0 where the masks contradict.
    """
    affinity = MASK_WEIGHT * iou + CLASS_WEIGHT * agreement
    affinity = affinity + APPEARANCE_WEIGHT * np.maximum(appearance, 0)
    return np.where(iou < CONTRADICTION_IOU, 0, affinity).astype(np.float32)


def memory_affinity(
    plausibility: NDArray[np.float32],
    sharpness: NDArray[np.float32],
    agreement: NDArray[np.float32],
    appearance: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Affinity of pairs that no frame shows together: after a gap, or without any overlap.

    How plausible the movement is multiplies everything: nothing jumps. A sharp expectation that is
    met (a frame or two unseen) is half the support, the appearance the other half, since another
    slot may see the same object differently; after a long absence any place is plausible and the
    appearance decides alone. Another class halves the affinity, as classes flicker.

    Args:
        plausibility: float32 [n, P], as `motion` gives it.
        sharpness: float32 [n, P], as `motion` gives it.
        agreement: float32 [n, P], as `class_agreement` gives it.
        appearance: float32 [n, P], as `appearance_cosine` gives it.

    Returns:
        float32 [n, P].
    """
    over_floor = np.maximum(appearance - COSINE_FLOOR, 0) / (1 - COSINE_FLOOR)
    support = (sharpness + over_floor) / (sharpness + 1)
    affinity = plausibility * support * (1 + np.minimum(agreement, 1)) / 2
    rounded: NDArray[np.float32] = affinity.astype(np.float32)
    return rounded


def class_agreement(sightings: Sequence[Sighting], tracks: Sequence[Track]) -> NDArray[np.float32]:
    """Dot product of the class distributions, float32 [n, P]."""
    slot_shares = np.stack([sighting.class_votes for sighting in sightings])
    track_shares = np.stack([track.class_shares for track in tracks])
    agreement: NDArray[np.float32] = slot_shares @ track_shares.T
    return agreement


def appearance_cosine(
    sightings: Sequence[Sighting], tracks: Sequence[Track]
) -> NDArray[np.float32]:
    """How alike slots and tracks look, on the scale of a cosine: float32 [n, P].

    The embeddings' cosine, averaged with the colour score, mapped onto the same range, where the
    colours of both are known.
    """
    slot_embeddings = np.stack([sighting.embedding for sighting in sightings])
    track_embeddings = np.stack([track.embedding for track in tracks])
    cosine = slot_embeddings @ track_embeddings.T
    score, known = colour_score(
        np.stack([sighting.colours for sighting in sightings]),
        np.stack([track.colours for track in tracks]),
    )
    # A score of -1 is a cosine of `COSINE_FLOOR`, and of 1 one of 1.
    colour_cosine = np.clip(COSINE_FLOOR + (1 - COSINE_FLOOR) * (score + 1) / 2, 0, 1)
    return np.where(known, (cosine + colour_cosine) / 2, cosine).astype(np.float32)


def colour_score(
    ones: NDArray[np.float32], others: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """How much colours [n, F] and [m, F] speak for one object, [n, m], and where both are known.

    It is 1 for equal ones, 0 where they say nothing, and below that without a limit.
    """
    score = (ones @ others.T - NEUTRAL_BHATTACHARYYA) / (1 - NEUTRAL_BHATTACHARYYA)
    return score, np.any(ones, axis=1)[:, None] & np.any(others, axis=1)


def gaps(sightings: Sequence[Sighting], tracks: Sequence[Track]) -> NDArray[np.int64]:
    """int64 [n, P], frames from a track's last sighting to the slot's first; may be negative."""
    firsts = np.array([sighting.frames[0] for sighting in sightings])
    lasts = np.array([track.last_seen for track in tracks])
    elapsed: NDArray[np.int64] = firsts[:, None] - lasts[None, :]
    return elapsed


def motion(
    sightings: Sequence[Sighting], tracks: Sequence[Track], indices: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How well the slots' boxes continue the tracks' movement.

    Where both have boxes in the same frames these are compared; otherwise the slot's first box is
    compared with the track's last one, moved on at constant velocity, with a deviation that grows
    with the frames in between and with the speed.

    Args:
        sightings: n slots of a window.
        tracks: P known tracks.
        indices: int64 [T], the window's frames.

    Returns:
        Plausibility, float32 [n, P], a Gaussian of the distance between the centres, and
        sharpness, float32 [n, P], 1 for a fresh expectation and towards 0 as it spreads.
    """
    slot_boxes, track_boxes = _aligned(sightings, indices), _aligned(tracks, indices)
    shared = ~np.isnan(slot_boxes[:, None, :, 0] + track_boxes[None, :, :, 0])  # [n, P, T]
    sizes = np.maximum(slot_boxes[:, None, :, 2:], track_boxes[None, :, :, 2:])
    offsets = (slot_boxes[:, None, :, :2] - track_boxes[None, :, :, :2]) / _floored(sizes)
    squared = np.where(shared[..., None], offsets**2, 0).sum(axis=(2, 3))
    together = squared / np.maximum(shared.sum(axis=2), 1) / BOX_SIGMA**2

    apart, sharpness = _extrapolated(sightings, tracks)
    meet = shared.any(axis=2)
    distance = np.where(meet, together, apart)
    plausibility = np.exp(-0.5 * np.minimum(distance, 100.0)).astype(np.float32)
    return plausibility, np.where(meet, 1, sharpness).astype(np.float32)


def _extrapolated(
    sightings: Sequence[Sighting], tracks: Sequence[Track]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Squared distance in deviations, and sharpness, float32 [n, P]."""
    starts = np.stack([sighting.boxes[0] for sighting in sightings])[:, None]  # [n, 1, 4]
    ends = np.stack([track.boxes[-1] for track in tracks])[None]  # [1, P, 4]
    velocities = np.stack([track.velocity for track in tracks])[None]  # [1, P, 2]
    elapsed = gaps(sightings, tracks)[..., None].astype(np.float32)  # [n, P, 1]
    # What left the picture comes back at its border.
    expected = np.clip(ends[..., :2] + velocities * elapsed, 0, 1)
    # The last box of somebody who goes behind a post is a sliver.
    coming = np.stack([whole_size(sighting.boxes) for sighting in sightings])[:, None]
    going = np.stack([track.size for track in tracks])
    sizes = _floored(np.maximum(coming, going))
    growth = np.abs(elapsed) * (DRIFT_PER_FRAME * sizes + np.abs(velocities))
    sigma = BOX_SIGMA * sizes + growth
    squared = (((starts[..., :2] - expected) / sigma) ** 2).sum(axis=2)
    sharpness = (BOX_SIGMA * sizes / sigma).mean(axis=2)
    return squared, sharpness


def _aligned(
    objects: Sequence[Sighting | Track], indices: NDArray[np.int64]
) -> NDArray[np.float32]:
    """float32 [n, T, 4]: the boxes at the given frames, NaN where there is none."""
    boxes = np.full((len(objects), len(indices), 4), np.nan, np.float32)
    for row, one in enumerate(objects):
        _, there, here = np.intersect1d(
            indices, one.frames, assume_unique=True, return_indices=True
        )
        boxes[row, there] = one.boxes[here]
    return boxes


def _floored(sizes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Box sizes of at least a hundredth of the picture, to divide by."""
    return np.maximum(sizes, 0.01)
