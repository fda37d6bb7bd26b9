"""What the command line does with arguments that take more than a value."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any


class RepeatableAction(argparse.Action):
    """Collects an option's values, beginning anew behind a config file that has some."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._values: list[str] = []

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add a value; a new list each time, so that defaults are never changed."""
        is_replaced = getattr(namespace, self.dest) != self._values  # by a config file
        self._values = [*([] if is_replaced else self._values), str(values)]
        setattr(namespace, self.dest, self._values)


class SourceAction(argparse.Action):
    """The SOURCE; one on the command line replaces that of a config file, wherever it stands."""

    given: str | None = None

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Note the value; argparse also calls this where there is none."""
        if values is not None:
            self.given = str(values)
            setattr(namespace, self.dest, self.given)
