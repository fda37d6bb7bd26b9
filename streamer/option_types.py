"""The types of options, read off the dataclasses that they fill, and what each takes in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_NAMES: dict[type, str] = {
    **{int: "a whole number", float: "a number", bool: "true or false", str: "text"},
    **{Path: "a path"},
}


def option_types(*kinds: type) -> dict[str, Any]:
    """The types of the dataclasses' fields by their names, those of a group as ``group.field``."""
    types: dict[str, Any] = {}
    for kind in kinds:
        for name, hint in get_type_hints(kind).items():
            types[name] = hint
            if is_group(hint):
                types |= {f"{name}.{field}": inner for field, inner in option_types(hint).items()}
    return types


def is_group(hint: Any) -> bool:
    """Whether a type is that of a group of options, and no option's own."""
    return is_dataclass(hint)


def takes_text(hint: Any) -> bool:
    """Whether an option of a type takes any text, beside other values or alone."""
    return hint is str or (get_origin(hint) in {Union, UnionType} and str in get_args(hint))


def takes_number(hint: Any) -> bool:
    """Whether an option of a type takes numbers, and no text as it stands."""
    return not takes_text(hint) and not {hint, *get_args(hint)}.isdisjoint({int, float})


def takes_nothing(hint: Any) -> bool:
    """Whether an option of a type may be empty."""
    return NoneType in get_args(hint)


def allowed(hint: Any) -> str:
    """What an option or a group of a type takes, in words."""
    return " or ".join(_words(hint))


def _words(hint: Any) -> Iterator[str]:
    if is_group(hint):
        yield "a mapping of its options"
    elif get_origin(hint) is Literal:
        yield from map(str, get_args(hint))
    elif get_origin(hint) in {Union, UnionType}:
        for part in get_args(hint):
            yield from _words(part)
    elif get_origin(hint) in {list, tuple}:
        first, *others = get_args(hint)
        count = f"{1 + len(others)} " if others and ... not in others else ""
        yield f"a list of {count}{_NAMES[first].removeprefix('a ')}s"
    elif hint is not NoneType:
        yield _NAMES[hint]
