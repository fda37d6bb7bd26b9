"""Composites of held-out parts, apart by what they show, and the AP of a network on each kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from benchmarks.annotations import GroundTruth, Result, Truth, Video
from benchmarks.average_precision import average_precision
from model import VisTR
from streamer.stitching.untangling import untangle
from training.composer import Composer, Composition
from training.feed import ClipSource, frame_size
from training.library import Library
from training.tube_figures import results_of, truths_of, window_prediction

Rows = dict[str, dict[str, float]]
"""Figures by their names, for each thing that was evaluated; -1 where there is nothing to find."""

SEED = 2 * 10**6
"""Seed of the clips: apart from those of training and of its evaluations."""

ASPECT = 4 / 3
"""Width over height of the frames."""


def held_out_composers(library: Library) -> dict[str, Composer]:
    """What makes the clips, by what they show.

    That is people, half of them in the scene that training shows too, people in other places alone,
    sprites that training has not seen, sprites that it has, and people among all sprites. Of the
    two kinds of sprites one that the library does not have is left out.

    Args:
        library: Of the split ``val``.
    """
    composers = {
        "people": Composer(library, Composition(people=1, sprites=0)),
        "people elsewhere": Composer(library, Composition(people=1, sprites=0, scene=0)),
    }
    unseen = {i: pictures for i, pictures in library.sprites.items() if i in library.unseen}
    seen = {i: pictures for i, pictures in library.sprites.items() if i not in library.unseen}
    for kind, pictures in {"sprites unseen": unseen, "sprites seen": seen}.items():
        if pictures:
            only = replace(library, sprites=pictures)
            composers[kind] = Composer(only, Composition(people=0, sprites=1))
    return composers | {"mixed": Composer(library, Composition(people=0, sprites=0))}


def tube_rows(net: VisTR, sources: Mapping[str, ClipSource], clips: int) -> Rows:
    """AP on clips of the window's length, for each source of clips.

    Once for the slots as they are, as published, and once ``untangled``, for what the stream goes
    on with; both scored by the mean over all frames. ``any category`` counts all objects as one
    category, so that naming them does not matter.

    Args:
        net: In float32, on its device.
        sources: By what their clips show.
        clips: How many from each source.
    """
    rows = {}
    for kind, source in sources.items():
        videos, truths = {}, []
        slots: list[Result] = []
        untangled: list[Result] = []
        for video_id in tqdm(range(1, clips + 1), desc=kind, unit="clip", disable=None):
            rng = np.random.default_rng((SEED, video_id))
            clip = source.draw(rng, range(net.frames), network_frame(net))
            videos[video_id] = Video(clip.size, net.frames)
            truths += truths_of(video_id, clip)
            prediction = window_prediction(net, clip)
            slots += results_of(video_id, prediction, clip.size)
            joined = untangle(prediction, range(net.frames))
            # Its own scores are those of the frames that show an object.
            spread = replace(joined, scores=joined.scores * joined.presence.mean(axis=0))
            untangled += results_of(video_id, spread, clip.size)
        truth = GroundTruth(videos, named_categories(net), tuple(truths))
        rows[kind] = _figures(truth, slots)
        rows[f"{kind}, untangled"] = _figures(truth, untangled)
    return rows


def _figures(truth: GroundTruth, results: Sequence[Result]) -> dict[str, float]:
    stats = average_precision(truth, results).stats
    unnamed = average_precision(*without_categories(truth, results)).stats
    return {
        "AP": stats["AP"],
        "AP50": stats["AP50"],
        "AP any category": unnamed["AP"],
        "AP50 any category": unnamed["AP50"],
        "objects": len(truth.truths),
    }


def network_frame(net: VisTR) -> tuple[int, int]:
    """(height, width) in pixels of the clips for a network: as it expects them, 4:3."""
    return frame_size(net.short_side, ASPECT)


def named_categories(net: VisTR) -> dict[int, str]:
    """All categories that a network knows, by their ids."""
    return dict(list(enumerate(net.categories))[1:])


def without_categories(
    truth: GroundTruth, results: Sequence[Result]
) -> tuple[GroundTruth, list[Result]]:
    """The same objects, all of one category."""
    truths: list[Truth] = [replace(found, category_id=1) for found in truth.truths]
    return (
        GroundTruth(truth.videos, {1: "object"}, tuple(truths)),
        [replace(found, category_id=1) for found in results],
    )
