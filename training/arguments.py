"""The command line of ``python -m training.train``: YAML and flags into a `TrainConfig`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ActionConfigFile, ArgumentParser, DefaultHelpFormatter

from streamer.argument_errors import (
    check_arguments,
    check_options,
    hide_groups,
    one_line_errors,
    refuse_empty,
)
from streamer.argument_types import folder_name
from streamer.config_file import check_config_file, errors_naming, is_blank, options_in
from streamer.errors import ConfigError
from streamer.option_types import option_types
from training.run_config import TrainConfig

DESCRIPTION = """Train a VisTR on clips composed from assets, or on a YouTube-VIS data set.
Interrupted (Ctrl-C), it finishes the step and keeps a checkpoint; the same command goes on."""

TYPES = option_types(TrainConfig)
"""The types of all options and of their groups, by their names."""


class _HelpFormatter(DefaultHelpFormatter):
    """Shows types by their names, and docstrings without their markup."""

    def _expand_help(self, action: argparse.Action) -> str:
        text: str = super()._expand_help(action).replace("``", "")
        text = re.sub(r"<class '([\w.]+)'>", r"\1", text)
        return re.sub(", type: <function [^>]*>", "", text)


class _ConfigAction(ActionConfigFile):
    """A YAML file, of which nothing may be lost."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
        """Apply the file's values.

        Raises:
            ConfigError: It holds what no option takes, or a group that is no mapping, for which the
                parser would import a module.
            SourceError: There is no such file, or it is not text.
        """
        path = Path(values)
        check_config_file(path)
        if not is_blank(path):
            with errors_naming(path), one_line_errors(parser, TYPES):
                check_options(options_in(path), TYPES)
                super().__call__(parser, cfg, values, option_string)  # type: ignore[no-untyped-call]


def parse(arguments: Sequence[str] | None = None) -> TrainConfig:
    """The run that a command line asks for.

    Raises:
        ConfigError: An argument is unknown, malformed or out of range.
        SourceError: The config file cannot be read.
    """
    parser = ArgumentParser(
        prog="python -m training.train",
        description=DESCRIPTION,
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--config", action=_ConfigAction, help="YAML file with such options")
    text = "folder for checkpoints, losses and curves; an interrupted run there goes on"
    parser.add_argument("--out", type=folder_name, required=True, help=text)
    parser.add_class_arguments(TrainConfig, skip={"out"})
    hide_groups(parser, TYPES)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        with one_line_errors(parser, TYPES):
            check_arguments(given, parser, TYPES)
            values = parser.parse_args(given)
            refuse_empty(values, TYPES)
            options = parser.instantiate(values).as_dict()
    except argparse.ArgumentTypeError as error:  # as a config file's
        raise ConfigError(f"out: {error}") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    options.pop("config")
    return TrainConfig(**options)
