"""The learning rate over a run."""

from __future__ import annotations

import math


def rate(step: int, steps: int, warmup: int) -> float:
    """Share of the full learning rate at a step: a linear rise, then half a cosine down to 0.

    Args:
        step: From 0 on.
        steps: Of the run.
        warmup: Steps of the rise.

    Source: SGDR (Loshchilov and Hutter, ICLR 2017), one cycle.
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
