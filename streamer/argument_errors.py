"""What is wrong with an argument, on one line: its name, its value, and what is allowed."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser

from streamer.config import StreamConfig
from streamer.errors import ConfigError
from streamer.option_check import check
from streamer.script_arguments import ScriptArguments

GROUPS = {name: kind for name, kind in get_type_hints(StreamConfig).items() if is_dataclass(kind)}
"""The groups of options; their fields are options as ``--group.field``."""

TYPE_WORDS: dict[type, str] = {
    **{int: "a whole number", float: "a number", bool: "true or false", str: "text"},
    **{list: "a list of texts", tuple: "four whole numbers"},
}
"""What types are called; of lists and tuples, those that options have."""

# How jsonargparse says that a value is not of an option's type.
_WRONG_TYPE = re.compile(
    r'Parser key "(?P<name>[\w.]+)": (Does not|Expected).*(Given|Got) value:\s*(?P<value>.*)'
)
_INVALID_YAML = re.compile(r"Problems parsing config: (?P<text>.*)")
_NO_OPTIONS = re.compile(r"Unexpected config: (?P<text>.*)")
_UNKNOWN_OPTION = re.compile(r"unrecognized arguments: --(?P<name>[^ =]+)")
_UNKNOWN_VALUE = re.compile("unrecognized arguments: [^-]")
_DASHED_FILE = re.compile("unrecognized arguments: (?P<name>-[^-].*)")
_UNKNOWN_KEY = re.compile(
    r"(Group '(?P<group>[\w.]+)' does not accept o|O)ption '(?P<name>[^']+)'( is not accepted)?"
)


@contextmanager
def one_line_errors(
    parser: ArgumentParser, given: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Raise the parser's errors, which take several lines, as a `ConfigError` of one.

    Args:
        parser: Whose errors they are.
        given: A program's own values, to be shown as they are: the parser tells their text alone,
            and the text of a value that is not allowed may look like one that is.
    """
    try:
        yield
    except argparse.ArgumentError as error:
        text = " ".join(str(error).split())
        if wrong := _WRONG_TYPE.match(text):
            allowed = _allowed(_hints()[wrong["name"]])
            if allowed == "text" and given is None:
                allowed += " (in YAML, in quotes where it looks like something else)"
            value = repr(_value_of(wrong["name"], given or {}, wrong["value"]))
            text = f"{wrong['name']} is {' '.join(value.split())}; allowed: {allowed}"
        elif unknown := _UNKNOWN_OPTION.match(text):
            options = set(parser._option_string_actions)
            text += _did_you_mean(f"--{unknown['name']}", options)
        elif unknown := _UNKNOWN_KEY.search(text):
            name = ".".join(filter(None, (unknown["group"], unknown["name"])))
            text = _unknown(name, _hints())
        elif dashed := _DASHED_FILE.match(text):
            text += _needs_folder(dashed["name"])
        elif _UNKNOWN_VALUE.match(text):
            text += "; several values of an option stand without spaces: --categories person,dog"
        elif nothing := _NO_OPTIONS.search(text):
            text = f"holds only {nothing['text']!r}; allowed: options with their values"
        elif invalid := _INVALID_YAML.match(text):
            text = invalid["text"].replace(' in "<unicode string>",', " in")
        raise ConfigError(text) from error
    except OverflowError as error:
        raise ConfigError(f"a number has too many digits: {error}") from error
    except RecursionError as error:
        raise ConfigError("a value is nested too deeply, or holds itself") from error


def check_groups(options: Mapping[Any, Any]) -> None:
    """Refuse groups that are no mappings of their fields, before the parser sees them.

    It would take a text for a file or a class, and import the module that this names; so it does
    with a ``class_path`` among the fields.

    Raises:
        ConfigError: There is one.
    """
    known = _hints()
    for group in GROUPS:
        values = options.get(group, {})
        check(isinstance(values, Mapping), group, values, "a mapping of its options")
        inside = [f"{group}.{field}" for field in values]
        # In YAML, a field may also stand by its full name.
        for name in inside + [str(each) for each in options if str(each).startswith(f"{group}.")]:
            if name not in known:
                raise ConfigError(_unknown(name, known))


def check_no_group(arguments: Iterable[str]) -> None:
    """Refuse groups as options of a command line, which argparse may take for the SOURCE.

    Raises:
        ConfigError: There is one.
    """
    for argument in arguments:
        group = argument.split("=")[0].removeprefix("--")
        if group in GROUPS and argument.startswith("--"):
            hint = " (SOURCE stands without a flag)" if group == "source" else ""
            fields = ", ".join(f"--{name}" for name in _hints() if name.startswith(f"{group}."))
            raise ConfigError(f"unrecognized argument: --{group}{hint}; its options are {fields}")


def refuse_empty(values: Mapping[str, Any]) -> None:
    """Refuse options that are named without a value, unless None is allowed, and empty texts.

    Raises:
        ConfigError: There is one.
    """
    for name, hint in _hints().items():
        if name in values and values[name] is None and NoneType not in get_args(hint):
            raise ConfigError(f"{name} is empty; allowed: {_allowed(hint)}")
        is_text = hint in {str, str | None}
        check(not is_text or values.get(name) != "", name, "", "text that is not empty")


def takes_text(name: str) -> bool:
    """Whether an option of this name takes any text, beside other values or alone."""
    hint = _hints().get(name)
    return hint is str or (get_origin(hint) in {Union, UnionType} and str in get_args(hint))


def _value_of(name: str, options: Mapping[str, Any], otherwise: str) -> Any:
    """An option's value, which may stand in a group."""
    group, _, field = name.partition(".")
    inside = options.get(group) if field else options
    return inside.get(field or group, otherwise) if isinstance(inside, Mapping) else otherwise


def _unknown(name: str, known: Collection[str]) -> str:
    return f"unknown option {name!r}" + _did_you_mean(name, known)


def _needs_folder(name: str) -> str:
    with suppress(OSError):  # such as a name that is too long
        if Path(name).exists():
            return "; a file whose name begins with - needs ./ before it"
    return ""


def _did_you_mean(name: str, known: Collection[str]) -> str:
    """The names, by their last part, that are spelled most alike, if any are."""
    fields = {each: re.split(r"\.|--", each)[-1] for each in sorted(known)}
    field = re.split(r"\.|--", name)[-1]
    near = difflib.get_close_matches(field, fields.values(), n=1)
    close = [each for each, part in fields.items() if part in near]
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _hints() -> dict[str, Any]:
    """The types of all options, by their names."""
    hints = get_type_hints(StreamConfig) | get_type_hints(ScriptArguments)
    del hints["cleaned_folders"]  # no option of its own
    for group, kind in GROUPS.items():
        hints |= {f"{group}.{field}": hint for field, hint in get_type_hints(kind).items()}
    return hints


def _allowed(hint: Any) -> str:
    """What an option of a type takes, in words."""
    return " or ".join(_words(hint))


def _words(hint: Any) -> Iterator[str]:
    if get_origin(hint) is Literal:
        yield from map(str, get_args(hint))
    elif get_origin(hint) in {Union, UnionType}:
        for part in get_args(hint):
            yield from _words(part)
    elif hint is not type(None):
        yield TYPE_WORDS[get_origin(hint) or hint]
