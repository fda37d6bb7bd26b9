"""What a YAML file must not hold, before its values are looked at option by option."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader

from streamer.errors import ConfigError, SourceError
from streamer.option_check import check

MAX_DEPTH = 8
"""Lists and mappings within each other; three are enough for every option."""

HUGE = re.compile(r"[\d_]{300}")
"""A number that float cannot hold; no part of a path is as long."""


def check_config_file(path: Path, renamed: Mapping[str, str] | None = None) -> None:
    """Refuse a config file that the parser would misread; invalid YAML is left for it to report.

    Args:
        path: The file.
        renamed: Names that it may not use, and what is used instead.

    Raises:
        ConfigError: It is no text, is nested deeply, or holds aliases, which could grow without
            bound, or tags, or what looks like a number and is not one, or a key twice, of which
            YAML would take the last.
        SourceError: It cannot be read.
    """
    try:
        with errors_naming(path), suppress(yaml.YAMLError), _tab_explained():
            _check_document(path.read_text(encoding="utf-8"), renamed)
    except OSError as error:
        raise SourceError(f"config {path}: cannot be read as text: {error}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"config {path}: line {line} is no text in UTF-8: {error}") from error


def is_blank(path: Path) -> bool:
    """Whether a config file, once checked, sets no option at all; invalid YAML counts as some."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) in (None, {})
    except (yaml.YAMLError, ValueError):
        return False


def options_in(path: Path) -> Mapping[Any, Any]:
    """The options of a config file, once checked, as the parser reads it; none of invalid YAML."""
    with suppress(yaml.YAMLError, ValueError):
        options = get_loader("yaml")(path.read_text(encoding="utf-8"))
        return options if isinstance(options, Mapping) else {}
    return {}


@contextmanager
def errors_naming(path: Path) -> Iterator[None]:
    """Let a ConfigError begin with the config file that it comes from."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"config {path}: {error}") from error


@contextmanager
def errors_traced(paths: Iterable[Path], take: Callable[[Path], object]) -> Iterator[None]:
    """Let a ConfigError begin with the config file that gives the same one when taken alone."""
    try:
        yield
    except ConfigError as error:
        for path in paths:
            try:
                take(path)
            except ConfigError as alone:
                if str(alone) == str(error):
                    raise ConfigError(f"config {path}: {error}") from error
        raise


def _check_document(text: str, renamed: Mapping[str, str] | None) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        place = f"line {getattr(event.start_mark, 'line', 0) + 1}"
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        check(depth <= MAX_DEPTH, place, "nested too deeply", f"{MAX_DEPTH} levels")
        check(not isinstance(event, yaml.AliasEvent), place, "an alias", "the value itself")
        tag = getattr(event, "tag", None)
        check(tag is None, place, tag, "values without tags")
    for name, scalar in _scalars(yaml.compose(text, Loader=yaml.SafeLoader), ""):
        check(name != "config", name, scalar.value[:40], "no config within a config")
        instead = (renamed or {}).get(name)
        check(instead is None, name, scalar.value[:40], f"{instead} in a config")
        check(_is_sound(scalar), name, scalar.value[:40], "a number, or text in quotes")


@contextmanager
def _tab_explained() -> Iterator[None]:
    """Raise a ConfigError for a tab, of which the parser says that it is some character."""
    try:
        yield
    except yaml.scanner.ScannerError as error:
        mark = error.problem_mark
        if mark is None or "'\\t'" not in str(error.problem):
            raise
        line = mark.line + 1
        raise ConfigError(f"line {line} has a tab where YAML takes only spaces") from error


def _scalars(node: yaml.Node | None, name: str) -> Iterator[tuple[str, yaml.ScalarNode]]:
    """The values in a document, each with the name of its option."""
    if isinstance(node, yaml.ScalarNode):
        yield name, node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item, name)
    elif isinstance(node, yaml.MappingNode):
        keys = [str(key.value) for key, _ in node.value]
        for key in keys:
            full = f"{name}.{key}" if name else key
            check(keys.count(key) == 1, full, "there twice", "once, several values as a list")
            apart = [other for other in keys if other.startswith(f"{key}.")]
            check(not apart, full, f"there beside {', '.join(apart)}", "one of both")
        for key, value in node.value:
            is_name = not isinstance(key, yaml.ScalarNode) or (key.value != "<<" and _is_sound(key))
            check(is_name, key.value[:40], "in place of a name", "an option's name")
            yield from _scalars(value, f"{name}.{key.value}" if name else str(key.value))


def _is_sound(scalar: yaml.ScalarNode) -> bool:
    if HUGE.search(scalar.value):
        return False
    if scalar.style is None:  # without quotes
        try:
            value = get_loader("yaml")(scalar.value)
            if type(value) is int or (type(value) is float and math.isfinite(value)):
                # YAML takes 1:30 for 90, 010 for 8 and 0x10 for 16.
                return bool(type(value)(scalar.value) == value)
        except yaml.YAMLError:
            return True  # text that only looks like YAML when it stands alone
        except ValueError:  # such as 0b_, which looks like a number
            return False
    return True
