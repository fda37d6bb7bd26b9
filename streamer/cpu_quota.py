"""How many threads to compute with: as many as the container or the service may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path

import torch

from streamer.option_check import Auto

CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
"""The control groups (version 2), and which of them this process is in. Source: the kernel's
``Documentation/admin-guide/cgroup-v2.rst``."""


def choose_threads(
    threads: Auto | int, groups: Path = CGROUPS, own_group: Path = OWN_CGROUP
) -> int:
    """Threads to compute with; ``auto``: one for each core, at most as many as the quota allows.

    PyTorch sees the cores of the machine, not that a container or a service may use two of its 64:
    the threads would stand in each other's way.

    Args:
        threads: As asked for.
        groups: Where the kernel has the control groups.
        own_group: Where it says which one counts.
    """
    if threads != "auto":
        return threads
    return min([torch.get_num_threads(), *_quotas(groups, own_group)])


def _quotas(groups: Path, own_group: Path) -> Iterator[int]:
    """Processors that the control group may use, and those above it, as far as they are limited."""
    own = ""
    with suppress(OSError):
        lines = own_group.read_text(encoding="utf-8").splitlines()
        own = next((line[3:].lstrip("/") for line in lines if line.startswith("0::")), "")
    for group in (groups / own, *(groups / own).parents):
        if not group.is_relative_to(groups):
            return
        # In a container its own group is the uppermost, whatever its name outside.
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota_us, period_us = (group / "cpu.max").read_text(encoding="ascii").split()
            yield max(1, ceil(int(quota_us) / int(period_us)))  # "max" is no limit
