"""What ``--help`` says of an option: its text, what it takes in words, and its default."""

from __future__ import annotations

import argparse
from typing import Literal, get_origin

from jsonargparse import DefaultHelpFormatter

from streamer.option_types import allowed, takes_text


class HelpFormatter(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Says types as messages do, no default where there is none, and keeps examples' lines."""

    def _get_help_string(self, action: argparse.Action) -> str:
        hint = getattr(action, "_typehint", None)
        facts = []
        # Of the others, the text says what they take, or the choices stand beside the name.
        if not (hint in {None, bool} or takes_text(hint) or get_origin(hint) is Literal):
            facts.append(allowed(hint))
        if isinstance(action.default, bool):
            facts.append(f"default: {str(action.default).lower()}")
        elif action.default not in (None, [], argparse.SUPPRESS):
            facts.append(f"default: {action.default}")
        return f"{action.help} ({', '.join(facts)})" if facts else f"{action.help}"
