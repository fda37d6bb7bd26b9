"""Checking the values of options: what is refused says its name, its value and what is allowed."""

from __future__ import annotations

from typing import Literal

from streamer.errors import ConfigError
from streamer.printable import LONGEST

Auto = Literal["auto"]
"""In an option's type: its value is left to the program."""

LONGEST_S = 1e6
"""Upper limit of time-outs and intervals, in seconds: larger ones overflow somewhere below. The
messages here write it out."""


def check(holds: bool, name: str, value: object, allowed: str) -> None:
    """Raise a `ConfigError` that names the option, its value and what is allowed."""
    if not holds:
        text = repr(value)
        found = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
        raise ConfigError(f"{name} is {found}; allowed: {allowed}")


def check_at_least(
    name: str, value: int | Auto | None, least: int, *, or_auto: bool = False
) -> None:
    """Raise a `ConfigError` for a count under `least`; None and auto leave the value open."""
    holds = value is None or value == "auto" or value >= least
    check(holds, name, value, f"auto, or at least {least}" if or_auto else f"at least {least}")


def check_positive(name: str, value: float) -> None:
    """Raise a `ConfigError` unless `value` is a positive number of seconds."""
    check(0 < value <= LONGEST_S, name, value, "more than 0, and up to 1e6")


def check_not_negative(name: str, value: float) -> None:
    """Raise a `ConfigError` unless `value` is a number of seconds, or 0."""
    check(0 <= value <= LONGEST_S, name, value, "from 0 to 1e6")
