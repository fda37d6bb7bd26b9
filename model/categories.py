"""Category names by category id."""

from __future__ import annotations

BACKGROUND = "background"
"""Name of id 0, which no object has in the published data."""

YOUTUBE_VIS_2019 = (
    *("person", "giant_panda", "lizard", "parrot", "skateboard", "sedan", "ape", "dog", "snake"),
    *("monkey", "hand", "rabbit", "duck", "cat", "cow", "fish", "train", "horse", "turtle", "bear"),
    *("motorbike", "giraffe", "leopard", "fox", "deer", "owl", "surfboard", "airplane", "truck"),
    *("zebra", "tiger", "elephant", "snowboard", "boat", "shark", "mouse", "frog", "eagle"),
    *("earless_seal", "tennis_racket"),
)
"""Names of the ids 1 to 40. Source: the data set's annotations, VisTR's ``inference.py``."""


def default_names(count: int) -> tuple[str, ...]:
    """Names of the ids 1 to `count` where nobody gave any."""
    if count == len(YOUTUBE_VIS_2019):
        return YOUTUBE_VIS_2019
    return tuple(f"class_{category_id}" for category_id in range(1, count + 1))
