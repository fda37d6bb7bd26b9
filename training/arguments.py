"""The command line of ``python -m training.train``: YAML and flags into a `TrainConfig`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from jsonargparse import ActionConfigFile, ArgumentParser, DefaultHelpFormatter, Namespace

from streamer.argument_errors import TYPE_WORDS
from streamer.argument_types import folder_name
from streamer.config_file import check_config_file, is_blank, options_in
from streamer.errors import ConfigError
from streamer.option_check import check
from training.run_config import TrainConfig

DESCRIPTION = """Train a VisTR on clips composed from assets, or on a YouTube-VIS data set.
Interrupted (Ctrl-C), it finishes the step and keeps a checkpoint; the same command goes on."""

GROUP = "a mapping of its options"

# How jsonargparse says that a value is not of an option's type, or that a group is none.
_WRONG_TYPE = re.compile(r'Parser key "(?P<name>[\w.]+)": .*(Given|Got) value:\s*(?P<value>.*)')
_NO_GROUP = re.compile(r'Parser key "(?P<name>[\w.]+)": Unable to load config \'(?P<value>.*?)\'')
_MISSING = re.compile(r"(?<=the following arguments are required: )(?=\w)")
"""Where an option's dashes belong."""


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
        check_config_file(Path(values))
        if not is_blank(Path(values)):
            _check_mappings(options_in(Path(values)))
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
    for action in parser._actions:
        if is_dataclass(_hint(action.dest)):
            # A group as a value of its own would be a file, or a module to import: no option.
            action.help = argparse.SUPPRESS
            del parser._option_string_actions[f"--{action.dest}"]
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


def _check_mappings(options: Mapping[Any, Any], group: str = "") -> None:
    """Refuse groups that are no mappings of their fields, before the parser sees them."""
    for field, value in options.items():
        name = f"{group}{field}"
        hint = _hint(name)
        if is_dataclass(hint):
            check(isinstance(value, Mapping), name, value, GROUP)
            _check_mappings(value, f"{name}.")
        elif hint is None and "." in name:
            raise ConfigError(f"unknown option {name!r}")


def _hint(name: str) -> Any:
    """The type of an option or a group by its full name; None where there is none."""
    hint: Any = TrainConfig
    for part in name.split("."):
        hint = get_type_hints(hint).get(part) if is_dataclass(hint) else None
    return hint


def _in_one_line(message: str) -> str:
    text = _MISSING.sub("--", " ".join(message.split()))
    wrong = _WRONG_TYPE.match(text) or _NO_GROUP.match(text)
    if wrong is None:
        return text
    return f"{wrong['name']} is {wrong['value']!r}; allowed: {_words(_hint(wrong['name']))}"


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
