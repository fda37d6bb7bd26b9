"""Reads the fields of a message's JSON header, each checked for presence, type and range."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn, TypeVar

from streamer.errors import WireError
from streamer.frame import MAX_PIXELS

MAX_INTEGER = 2**63 - 1
MAX_FLOAT = sys.float_info.max
MAX_SIDE = 65_535
"""Most pixels a side: what 16 bits and every image format here can hold."""
MAX_TEXT = 1_000
"""Most characters of a name."""

Word = TypeVar("Word", bound=str)


class Fields:
    """The members of one JSON object.

    Every method takes the name of a member and raises `WireError` if it is missing or not as asked.
    Members that nobody asks for are ignored: later versions may add some.

    Args:
        members: The object.
        where: What it is, for messages.
    """

    def __init__(self, members: dict[str, Any], where: str) -> None:
        self._members = members
        self._where = where

    @classmethod
    def parse(cls, header: bytes) -> Fields:
        """The fields of a UTF-8 JSON header."""
        try:
            members = json.loads(header.decode("utf-8"), parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:  # also UnicodeDecodeError
            raise WireError(f"header is not JSON: {error}") from error
        if not isinstance(members, dict):
            raise WireError(f"header is a JSON {type(members).__name__}, not an object")
        return cls(members, "header")

    def integer(self, name: str, low: int = 0, high: int = MAX_INTEGER) -> int:
        """An integer in [low, high]."""
        value = self._value(name)
        if not _is_integer(value) or not low <= value <= high:
            self._refuse(name, value, f"an integer from {low} to {high}")
        return int(value)

    def optional_integer(self, name: str, low: int = 0) -> int | None:
        """An integer of at least `low`, or null."""
        return None if self._value(name) is None else self.integer(name, low)

    def number(self, name: str, low: float = -MAX_FLOAT, high: float = MAX_FLOAT) -> float:
        """A finite number in [low, high]."""
        value = self._value(name)
        if not (_is_integer(value) or isinstance(value, float)) or not low <= value <= high:
            self._refuse(name, value, f"a number from {low} to {high}")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self._value(name)
        if not isinstance(value, bool):
            self._refuse(name, value, "true or false")
        return value

    def text(self, name: str, most: int = MAX_TEXT) -> str:
        """A string of at most `most` characters."""
        value = self._value(name)
        if not _is_text(value, most):
            self._refuse(name, value, f"text of at most {most} characters")
        return str(value)

    def choice(self, name: str, allowed: tuple[Word, ...]) -> Word:
        """One of some words."""
        value = self._value(name)
        if value not in allowed:
            self._refuse(name, value, " or ".join(allowed))
        return allowed[allowed.index(value)]

    def texts(self, name: str, most: int) -> tuple[str, ...]:
        """A list of at most `most` strings."""
        value = self._value(name)
        if not isinstance(value, list) or len(value) > most or not all(map(_is_text, value)):
            self._refuse(name, value, f"a list of at most {most} texts")
        return tuple(value)

    def integers(self, name: str, count: int, low: int = 0) -> tuple[int, ...]:
        """A list of `count` integers of at least `low`."""
        value = self._value(name)
        if (
            not isinstance(value, list)
            or len(value) != count
            or not all(_is_integer(item) and low <= item <= MAX_INTEGER for item in value)
        ):
            self._refuse(name, value, f"a list of {count} integers of at least {low}")
        return tuple(value)

    def size(self, name: str) -> tuple[int, int]:
        """(height, width) of a frame."""
        height, width = self.integers(name, count=2, low=1)
        if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
            allowed = f"at most {MAX_SIDE} pixels a side and {MAX_PIXELS} in all"
            self._refuse(name, [height, width], allowed)
        return height, width

    def optional_size(self, name: str) -> tuple[int, int] | None:
        """(height, width) of a frame, or null."""
        return None if self._value(name) is None else self.size(name)

    def member(self, name: str) -> Fields:
        """An object."""
        value = self._value(name)
        if not isinstance(value, dict):
            self._refuse(name, value, "an object")
        return Fields(value, name)

    def objects(self, name: str, most: int) -> list[Fields]:
        """A list of at most `most` objects."""
        value = self._value(name)
        if (
            not isinstance(value, list)
            or len(value) > most
            or not all(isinstance(item, dict) for item in value)
        ):
            self._refuse(name, value, f"a list of at most {most} objects")
        return [Fields(item, f"{name}[{position}]") for position, item in enumerate(value)]

    def null(self, name: str) -> None:
        """Refuse a member that says something."""
        value = self._value(name)
        if value is not None:
            self._refuse(name, value, "null")

    def absent(self, name: str) -> None:
        """Refuse a member that does not belong here."""
        if name in self._members:
            self._refuse(name, self._members[name], "nothing")

    def _value(self, name: str) -> Any:
        try:
            return self._members[name]
        except KeyError:
            raise WireError(f"{self._where} lacks {name!r}") from None

    def _refuse(self, name: str, value: object, allowed: str) -> NoReturn:
        shown = ascii(value)
        shown = shown if len(shown) <= 80 else f"{shown[:80]}…"
        raise WireError(f"{self._where}: {name} is {shown}; allowed: {allowed}")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object, most: int = MAX_TEXT) -> bool:
    # JSON can escape half of a surrogate pair, which no encoding can print.
    return (
        isinstance(value, str)
        and len(value) <= most
        and (value.isascii() or not any("\ud800" <= each <= "\udfff" for each in value))
    )


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
