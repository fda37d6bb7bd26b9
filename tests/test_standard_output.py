"""What is printed reaches its reader, or nobody, without a complaint."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = "from streamer.standard_output import say; say('one'); say('two')"


def test_it_is_printed_line_by_line() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"one\ntwo\n", b"")


def test_a_reader_that_has_left_is_no_failure() -> None:
    left, right = os.pipe()
    os.close(left)
    try:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], stdout=right, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(right)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_is_a_warning() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (
        0,
        b"nothing can be printed: No space left on device\n",
    )
