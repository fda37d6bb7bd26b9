"""``python -m streamer.dataset``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from streamer.exit_codes import command
from streamer.installation import whole_installation


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Segment a data set (see `streamer.dataset.command`); returns the exit code."""
    # Imported late: a signal may come in the half second that it takes.
    with whole_installation():
        from streamer.dataset.command import main as segment  # noqa: PLC0415
    return segment(arguments)


if __name__ == "__main__":
    sys.exit(main())
