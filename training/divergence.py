"""Whether a run still learns: its losses and gradients are numbers."""

from __future__ import annotations

import logging
import math
from pathlib import Path

from torch import Tensor

from streamer.errors import StreamError

SKIPPED = 10
"""Steps in a row with a gradient that is not finite, after which a run is given up."""

log = logging.getLogger(__name__)


class DivergedError(StreamError):
    """The loss or its gradient is not finite any more; going on would spoil the weights."""


class Divergence:
    """Looks at each step of a run before the weights change.

    Args:
        kept: Where the run keeps its checkpoint, for messages.
    """

    def __init__(self, kept: Path) -> None:
        self._kept = kept
        self._skipped = 0  # steps in a row

    def check_loss(self, loss: float, step: int) -> None:
        """See that the loss of a step is a number.

        Raises:
            DivergedError: It is not.
        """
        if not math.isfinite(loss):
            kept = f"; {self._kept} is of the step before" if step > 1 else ""
            raise DivergedError(f"the loss is {loss} in step {step}: a lower rate may help{kept}")

    def allows(self, norm: Tensor, step: int) -> bool:
        """Whether the gradient of a step, whose length this is, may change the weights.

        It would make all of them NaN. Seen in bf16 on CUDA, on clips whose loss was as good
        as others'.

        Raises:
            DivergedError: It may not, like those of the steps before.
        """
        if norm.isfinite():
            self._skipped = 0
            return True
        self._skipped += 1
        if self._skipped >= SKIPPED:
            raise DivergedError(
                f"the gradients of {SKIPPED} steps up to {step} are not finite; a lower rate or "
                "fp32 may help"
            )
        log.warning("step %d: the gradient is not finite; the step is left out", step)
        return False
