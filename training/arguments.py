"""The command line of ``python -m training.train``: YAML and flags into a `TrainConfig`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from jsonargparse import ActionConfigFile, ArgumentParser, Namespace

from streamer.argument_errors import TYPE_WORDS
from streamer.argument_types import folder_name
from streamer.config_file import check_config_file, is_blank
from streamer.errors import ConfigError
from streamer.option_check import check
from training.run_config import TrainConfig

DESCRIPTION = """Train a VisTR on clips composed from assets, or on a YouTube-VIS data set.
Interrupted (Ctrl-C), it finishes the step and keeps a checkpoint; the same command goes on."""

GROUP = "a mapping of its options"

# How jsonargparse says that a value is not of an option's type, or that a group is none.
_WRONG_TYPE = re.compile(r'Parser key "(?P<name>[\w.]+)": .*(Given|Got) value:\s*(?P<value>.*)')
_NO_GROUP = re.compile(r'Parser key "(?P<name>[\w.]+)": Unable to load config \'(?P<value>.*?)\'')


class _ConfigAction(ActionConfigFile):  # type: ignore[misc]
    """A YAML file, of which nothing may be lost."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
        """Apply the file's values.

        Raises:
            ConfigError: It holds what no option takes.
            SourceError: There is no such file, or it is not text.
        """
        check_config_file(Path(values))
        if not is_blank(Path(values)):
            super().__call__(parser, cfg, values, option_string)


def parse(arguments: Sequence[str] | None = None) -> TrainConfig:
    """The run that a command line asks for.

    Raises:
        ConfigError: An argument is unknown, malformed or out of range.
        SourceError: The config file cannot be read.
    """
    parser = ArgumentParser(
        prog="python -m training.train",
        description=DESCRIPTION,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--config", action=_ConfigAction, help="YAML file with such options")
    text = "folder for checkpoints, losses and curves; an interrupted run there goes on"
    parser.add_argument("--out", type=folder_name, required=True, help=text)
    parser.add_class_arguments(TrainConfig, skip={"out"})
    try:
        values = parser.parse_args(arguments)
        _check_groups(values, TrainConfig)
        options = parser.instantiate(values).as_dict()
    except argparse.ArgumentError as error:
        raise ConfigError(_in_one_line(str(error))) from error
    except argparse.ArgumentTypeError as error:  # as a config file's
        raise ConfigError(f"out: {error}") from error
    except (ValueError, OverflowError) as error:
        raise ConfigError(str(error)) from error
    options.pop("config")
    return TrainConfig(**options)


def _check_groups(values: Namespace, kind: Any, group: str = "") -> None:
    """See that each group of options is one, and that each option has a value."""
    for field, hint in get_type_hints(kind).items():
        name, value = group + field, values[field]
        if is_dataclass(hint):
            check(isinstance(value, Namespace), name, value, GROUP)
            _check_groups(value, hint, f"{name}.")
        elif value is None and NoneType not in get_args(hint):
            raise ConfigError(f"{name} is empty; allowed: {_words(hint)}")


def _in_one_line(message: str) -> str:
    text = " ".join(message.split())
    wrong = _WRONG_TYPE.match(text) or _NO_GROUP.match(text)
    if wrong is None:
        return text
    hint: Any = TrainConfig
    for part in wrong["name"].split("."):
        hint = get_type_hints(hint)[part]
    return f"{wrong['name']} is {wrong['value']!r}; allowed: {_words(hint)}"


def _words(hint: Any) -> str:
    """What an option of that type takes."""
    items = get_args(hint)
    if is_dataclass(hint):
        return GROUP
    if get_origin(hint) is Literal:
        return " or ".join(items)
    if get_origin(hint) is tuple:
        count = "" if ... in items else f" of {len(items)}"
        return f"a list{count}, each {TYPE_WORDS[items[0]]}"
    return TYPE_WORDS.get(hint, "a path")
