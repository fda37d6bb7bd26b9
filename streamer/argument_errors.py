"""What is wrong with an argument, on one line: its name, its value, and what is allowed."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from streamer.errors import ConfigError
from streamer.option_check import check
from streamer.option_types import allowed, is_group, takes_nothing, takes_number
from streamer.sinks.output_spec import SUFFIXES

# How jsonargparse says that a value is not of an option's type.
_WRONG_TYPE = re.compile(
    r'Parser key "(?P<name>[\w.]+)": (Does not|Expected).*(Given|Got) value:\s*(?P<value>.*)'
)
_INVALID_YAML = re.compile(r"Problems parsing config: (?P<text>.*)")
_NO_OPTIONS = re.compile(r"Unexpected config: (?P<text>.*)")
_UNRECOGNIZED = re.compile(r"unrecognized arguments: (?P<words>.*)")
_MISSING = re.compile(r"the following arguments are required: (?P<name>.*)")

NO_FLAG = "SOURCE stands without a flag"
ONE_SOURCE = "there is one SOURCE; images are given as a folder or a pattern (frames/%04d.png)"

# What YAML takes for 90 and 16.
_SEXAGESIMAL_OR_HEX = re.compile(r"[-+]?(0[bx]\w+|[\d_]+(:\d+)+(\.[\d_]*)?)")


@contextmanager
def one_line_errors(
    parser: ArgumentParser, types: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Raise the parser's errors, which take several lines, as a `ConfigError` of one.

    Args:
        parser: Whose errors they are.
        types: The types of its options, by their names.
        given: A program's own values, to be shown as they are: the parser tells their text alone,
            and the text of a value that is not allowed may look like one that is.
    """
    try:
        yield
    except argparse.ArgumentError as error:
        text = " ".join(str(error).split())
        if wrong := _WRONG_TYPE.match(text):
            words = allowed(types[wrong["name"]])
            if words == "text" and given is None:
                words += " (in YAML, in quotes where it looks like something else)"
            value = repr(_value_of(wrong["name"], given or {}, wrong["value"]))
            text = f"{wrong['name']} is {' '.join(value.split())}; allowed: {words}"
        elif unknown := _UNRECOGNIZED.match(text):
            shown = {flag for action in parser._actions for flag in action.option_strings}
            text = _unrecognized(unknown["words"], shown & {*parser._option_string_actions})
        elif missing := _MISSING.match(text):
            text = f"the following arguments are required: --{missing['name']}"
        elif nothing := _NO_OPTIONS.search(text):
            text = f"holds only {nothing['text']!r}; allowed: options with their values"
        elif invalid := _INVALID_YAML.match(text):
            text = invalid["text"].replace(' in "<unicode string>",', " in")
        raise ConfigError(text) from error
    except OverflowError as error:
        raise ConfigError(f"a number has too many digits: {error}") from error
    except RecursionError as error:
        raise ConfigError("a value is nested too deeply, or holds itself") from error


def hide_groups(parser: ArgumentParser, types: Mapping[str, Any]) -> None:
    """Take groups away as options: as a value, one would be a file, or a module to import."""
    for action in parser._actions:
        if is_group(types.get(action.dest)):
            action.help = argparse.SUPPRESS
            parser._option_string_actions.pop(f"--{action.dest}", None)


def check_options(options: Mapping[Any, Any], types: Mapping[str, Any], group: str = "") -> None:
    """Refuse unknown options, and groups that are no mappings, before the parser sees them.

    It would take a group's text for a file or a class, and import the module that this names; so it
    does with a ``class_path`` among the fields.

    Args:
        options: The values, a group's as a mapping; in YAML, a field may stand by its full name.
        types: The types of all options, by their names.
        group: The name of the group that they stand in, with a dot.

    Raises:
        ConfigError: There is one.
    """
    for field, value in options.items():
        name = f"{group}{field}"
        if name not in types:
            raise ConfigError(f"unknown option {name!r}" + _did_you_mean(name, types))
        if is_group(types[name]):
            is_source = name == "source" and "input" in types
            words = allowed(types[name]) + " (SOURCE is input)" * is_source
            check(isinstance(value, Mapping), name, value, words)
            check_options(value, types, f"{name}.")
        else:
            _check_number(name, value, types[name])


def check_arguments(
    arguments: Sequence[str], parser: ArgumentParser, types: Mapping[str, Any]
) -> None:
    """Refuse what the parser would misread in a command line.

    These are groups as options, which argparse may take for the SOURCE, and numbers such as 1:30.

    Raises:
        ConfigError: There is one.
    """
    for argument, following in pairwise([*arguments, ""]):
        flag, equals, value = argument.partition("=")
        name = flag.removeprefix("--")
        if flag.startswith("--") and is_group(types.get(name)):
            hint = f" ({NO_FLAG})" if name == "source" else ""
            inside = [each for each in types if each.startswith(f"{name}.")]
            fields = ", ".join(f"--{each}" for each in inside if not is_group(types[each]))
            raise ConfigError(f"unrecognized argument: --{name}{hint}; its options are {fields}")
        action = parser._option_string_actions.get(flag)
        if action is not None:
            _check_number(action.dest, value if equals else following, types.get(action.dest))


def refuse_empty(values: Namespace, types: Mapping[str, Any]) -> None:
    """Refuse options that are named without a value, unless None is allowed, and empty texts.

    Raises:
        ConfigError: There is one.
    """
    for name, hint in types.items():
        if name in values and values[name] is None and not takes_nothing(hint):
            raise ConfigError(f"{name} is empty; allowed: {allowed(hint)}")
        is_text = hint in {str, str | None}
        check(not is_text or values.get(name) != "", name, "", "text that is not empty")


def _check_number(name: str, value: object, hint: Any) -> None:
    if isinstance(value, str) and takes_number(hint):
        check(not _SEXAGESIMAL_OR_HEX.fullmatch(value), name, value, allowed(hint))


def _value_of(name: str, options: Mapping[str, Any], otherwise: str) -> Any:
    """An option's value, which may stand in a group."""
    group, _, field = name.partition(".")
    inside = options.get(group) if field else options
    return inside.get(field or group, otherwise) if isinstance(inside, Mapping) else otherwise


def _unrecognized(words: str, flags: Collection[str]) -> str:
    """What is said of arguments that none of the flags takes."""
    first, *others = words.split(" ")
    if "--output" in flags and not first.startswith("-") and _is_source(first):
        # All of a folder's images may be there, where a shell put them in place of *.
        more = f" and {len(others)} more" if others else ""
        return f"unrecognized arguments: {first}{more}; {ONE_SOURCE}"
    return f"unrecognized arguments: {words}{_meant_by(words, flags)}"


def _meant_by(words: str, flags: Collection[str]) -> str:
    """What may have been meant by arguments that none of the flags takes."""
    first = words.partition(" ")[0]
    if first.partition("=")[0] in {"-i", "--input", "--SOURCE"} and "--output" in flags:
        return f"; {NO_FLAG}"
    if first.startswith("--"):
        return _did_you_mean(first.partition("=")[0], flags)
    if re.fullmatch("-[a-z]", first):
        begins = re.compile(rf"-{first}[^.]*")  # those of a group would be too many
        return _suggestion([flag for flag in sorted(flags) if begins.fullmatch(flag)])
    if first.startswith("-"):
        return _needs_folder(words)
    is_output = first == words and first.lower().endswith((*SUFFIXES, "/"))
    if is_output and "--output" in flags:
        return _suggestion([f"--output {first}"])
    example = "--categories person,dog" if "--categories" in flags else "[1,2]"
    return f"; several values of an option stand without spaces: {example}"


def _needs_folder(name: str) -> str:
    return "; a file whose name begins with - needs ./ before it" if _exists(name) else ""


def _is_source(name: str) -> bool:
    return "://" in name or _exists(name)


def _exists(name: str) -> bool:
    with suppress(OSError, ValueError):  # such as a name that is too long
        return Path(name).exists()
    return False


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    """The names, by their last part, that are spelled most alike, if any are."""
    if name == "SOURCE":
        return _suggestion(["input"] if "input" in known else [])
    fields = {each: re.split(r"\.|--", each)[-1] for each in sorted(known)}
    field = re.split(r"\.|--", name)[-1]
    near = difflib.get_close_matches(field, fields.values(), n=1)
    return _suggestion([each for each, part in fields.items() if part in near])


def _suggestion(names: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(names)}?" if names else ""
