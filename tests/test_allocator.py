"""`streamer.allocator`: large blocks that were given back are kept for the next ones."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from streamer.allocator import OWN_CHOICES

PROGRAM = """
import resource
import numpy as np
from streamer.allocator import give_memory_back, keep_little, keep_memory
keep_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**26, np.uint8)
before = faults()
for _ in range(4):
    np.ones(2**26, np.uint8)
kept = faults() - before
give_memory_back()
before = faults()
np.ones(2**26, np.uint8)
given_back = faults() - before
keep_little()
before = faults()
np.ones(2**26, np.uint8)
print(kept, given_back, faults() - before)
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="not glibc")
@pytest.mark.parametrize(("chosen", "keeps"), [({}, True), ({"MALLOC_MMAP_MAX_": "65536"}, False)])
def test_blocks_are_kept_unless_the_environment_says_otherwise_and_given_back_if_asked(
    chosen: dict[str, str], keeps: bool
) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in OWN_CHOICES}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=inherited | chosen,
        capture_output=True,
        text=True,
        check=True,
    )
    faults, given_back, little = map(int, result.stdout.split())
    # Pages may be large ones: 2 MiB each, of which a block is 32.
    assert (faults < 64) if keeps else (faults >= 128), faults
    assert min(given_back, little) >= 32
