"""How PyTorch's threads wait for each other, which is settled when PyTorch is loaded."""

from __future__ import annotations

import os


def share_cores() -> None:
    """Let PyTorch's threads spin for microseconds, not milliseconds, while they wait.

    To be called before PyTorch is imported; without effect afterwards, and where the environment
    says something else. Beside another busy program on two cores a window took six times as long
    as alone, with this twice as long; alone it takes 5 % longer. No option: the library that GCC
    gives PyTorch reads the environment alone.

    Source: GNU libgomp's manual, ``GOMP_SPINCOUNT`` and ``OMP_WAIT_POLICY``.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
