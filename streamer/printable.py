"""Names and counts as messages and logs show them."""

from __future__ import annotations

LONGEST = 200
"""Characters of a text that a message repeats."""


def printable(name: object) -> str:
    r"""A name, such as a path, in one line: quoted and escaped if it would not stay in one.

    >>> print(printable("a.mp4"), printable("b\nERROR: c.mp4"))
    a.mp4 'b\nERROR: c.mp4'
    """
    text = str(name)
    return text if text.isprintable() else repr(text)


def shortened(text: str) -> str:
    """A text as messages repeat it: where it is long, its end, which tells paths apart."""
    return text if len(text) <= LONGEST else f"…{text[-LONGEST:]}"


def counted(number: int, noun: str) -> str:
    """A number and what it counts.

    >>> print(counted(1, "frame"), counted(0, "dropped frame"))
    1 frame 0 dropped frames
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
