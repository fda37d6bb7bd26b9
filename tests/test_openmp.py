"""`streamer.openmp`: PyTorch's threads are told not to spin before PyTorch is loaded."""

from __future__ import annotations

import pytest

from tests.processes import words_of

PROGRAM = """
import os, sys
from streamer.openmp import share_cores
share_cores()
print("torch" in sys.modules, os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("chosen", "spins"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_spin_as_chosen_or_little(chosen: dict[str, str], spins: str) -> None:
    names = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}
    assert words_of(PROGRAM, chosen, names) == ["False", spins]
