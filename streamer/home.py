"""Paths that begin with ~: in a config and behind an equals sign, no shell has expanded it."""

from __future__ import annotations

import os
import re
from typing import Any

from jsonargparse import Namespace

PATHS = (
    *("input", "weights", "category_file", "output", "results", "annotations"),
    *("mp4_clip_path", "img_path", "masks_results_path"),
    *("source.credentials", "source.tls_ca", "zmq.curve_key", "zmq.curve_readers"),
)
"""Options that are paths, or hold them as ``STYLE=PATH`` or in a list."""


def expand_home(path: str) -> str:
    """A path, or ``STYLE=PATH``, with the user's home folder where it begins with ~/.

    Another's home, ~name/, stays as it is.
    """
    begin = re.match(r"([^/=]*=)?(?=~/)", path)
    if begin is None:
        return path
    # Not by pathlib, which forgets a slash at the end.
    return begin[0] + os.path.expanduser(path[begin.end() :])  # noqa: PTH111


def with_home(values: Namespace) -> Namespace:
    """Options with the paths among them expanded, in place; they are as the parser read them."""
    for name in PATHS:
        if name in values:
            values[name] = _expanded(values[name])
    return values


def _expanded(value: Any) -> Any:
    if isinstance(value, list):
        return [_expanded(each) for each in value]
    return expand_home(value) if isinstance(value, str) else value
