"""Category names by category id."""

from __future__ import annotations

import re
from collections.abc import Iterable

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

MAX_NAME = 1_000
"""Most characters of a name, as in the published masks (`streamer.wire`)."""

UNFIT = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"
"""Characters that no name has: those that command a terminal, and halves of surrogate pairs, which
JSON can hold and no encoding can."""


def default_names(count: int) -> tuple[str, ...]:
    """Names of the ids 1 to `count` where nobody gave any."""
    if count == len(YOUTUBE_VIS_2019):
        return YOUTUBE_VIS_2019
    return tuple(f"class_{category_id}" for category_id in range(1, count + 1))


def check_names(names: Iterable[object]) -> None:
    """See that those who read the results can take the names.

    Raises:
        ValueError: One is no text, too long, or has a character that is `UNFIT`.
    """
    for name in names:
        if not isinstance(name, str) or len(name) > MAX_NAME or re.search(UNFIT, name):
            raise ValueError(
                f"categories has {name!r:.50}, expected names: texts of at most {MAX_NAME} "
                "characters, none of them a control character"
            )
