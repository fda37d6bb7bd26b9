"""What a reader may be asked for."""

from __future__ import annotations

from numbers import Integral, Real

import zmq

from streamer.option_check import check
from streamer.wire.curve import ReaderKeys

PATTERNS = {"sub": zmq.SUB, "pull": zmq.PULL}


def check_options(pattern: str, timeout_s: float | None, hwm: int, keys: ReaderKeys | None) -> None:
    """Refuse options of a reader that are out of range.

    Raises:
        ConfigError: One is.
    """
    is_known = isinstance(pattern, str) and pattern in PATTERNS
    check(is_known, "pattern", pattern, " or ".join(PATTERNS))
    is_whole = isinstance(hwm, Integral) and not isinstance(hwm, bool) and 0 <= hwm < 2**31
    check(is_whole, "hwm", hwm, "a whole number from 0 (no limit) to 2147483647")
    is_number = isinstance(timeout_s, Real) and not isinstance(timeout_s, bool)
    is_time = timeout_s is None or (is_number and timeout_s >= 0)
    check(is_time, "timeout_s", timeout_s, "seconds from 0 on, or None")
    check(keys is None or isinstance(keys, ReaderKeys), "keys", keys, "ReaderKeys, or None")
