"""Train a VisTR: ``python -m training.train --config FILE``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import torch
from jsonargparse import ActionConfigFile, ArgumentParser
from tqdm.contrib.logging import logging_redirect_tqdm

from streamer.allocator import keep_memory
from streamer.command import command
from streamer.errors import ConfigError
from streamer.signals import handled
from training.curves import draw_curves
from training.run import Run
from training.run_config import TrainConfig

DESCRIPTION = """Train a VisTR on clips composed from assets, or on a YouTube-VIS data set.
Interrupted (Ctrl-C), it finishes the step and keeps a checkpoint; the same command goes on."""


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Train from the command line.

    Args:
        arguments: The command line without the program's name; None takes the process's own.

    Returns:
        The exit code: 0; 1 where something cannot be read; 2 for wrong options; 128 + the signal's
        number after an interruption.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    config = _parse(arguments)
    keep_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    run = Run(config)
    stopped: list[int] = []

    def stop(number: int) -> None:
        stopped.append(number)
        run.stopping = True

    with handled(stop), logging_redirect_tqdm():
        run.go()
    print(f"curves: {draw_curves(config.out)}")
    return 128 + stopped[0] if stopped else 0


def _parse(arguments: Sequence[str] | None) -> TrainConfig:
    parser = ArgumentParser(prog="python -m training.train", description=DESCRIPTION)
    parser.add_argument("--config", action=ActionConfigFile, help="YAML file with such options")
    parser.add_class_arguments(TrainConfig)
    parsed = parser.parse_args(arguments)
    try:
        options = parser.instantiate(parsed).as_dict()
    except ValueError as error:
        raise ConfigError(str(error)) from error
    options.pop("config")
    return TrainConfig(**options)


if __name__ == "__main__":
    sys.exit(main())
