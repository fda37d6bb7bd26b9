"""Train a VisTR: ``python -m training.train --config FILE``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import suppress

from streamer.allocator import keep_memory
from streamer.errors import SourceError, StreamError
from streamer.exit_codes import command
from streamer.installation import FOR_TRAINING, whole_installation
from streamer.signals import handled


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Train from the command line.

    Args:
        arguments: The command line without the program's name; None takes the process's own.

    Returns:
        The exit code: 0; 1 where something cannot be read; 2 for wrong options; 128 + the signal's
        number after an interruption.
    """
    # Imported late: a signal may come in the seconds that it takes.
    with whole_installation(FOR_TRAINING):
        import torch  # noqa: PLC0415
        from tqdm.contrib.logging import logging_redirect_tqdm  # noqa: PLC0415

        from training.arguments import parse  # noqa: PLC0415
        from training.curves import draw_curves  # noqa: PLC0415
        from training.run import Run  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    config = parse(arguments)
    keep_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    run = Run(config)
    stopped: list[int] = []

    def stop(number: int) -> None:
        stopped.append(number)
        run.stopping = True

    with handled(stop), logging_redirect_tqdm():
        try:
            run.go()
        except StreamError:
            with suppress(StreamError):  # there may be no losses yet
                print(f"curves: {draw_curves(config.out)}")
            raise
    try:
        print(f"curves: {draw_curves(config.out)}")
    except SourceError:
        if not stopped:  # before the first step there are no losses
            raise
    return 128 + stopped[0] if stopped else 0


if __name__ == "__main__":
    sys.exit(main())
