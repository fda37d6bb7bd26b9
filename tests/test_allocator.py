"""`streamer.allocator`: large blocks that were given back are kept for the next ones."""

from __future__ import annotations

import os

import pytest

from streamer.allocator import OWN_CHOICES
from tests.processes import words_of

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
    faults, given_back, little = map(int, words_of(PROGRAM, chosen, OWN_CHOICES))
    # Pages may be large ones: 2 MiB each, of which a block is 32.
    assert (faults < 64) if keeps else (faults >= 128), faults
    assert min(given_back, little) >= 32
