"""How many videos fit into memory at once."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch

from streamer.allocator import give_memory_back

SHARE = 0.8
"""Share of the free memory to use: the rest is headroom for videos that need more than the one
measured."""

MOST = 4
"""Videos at once at most. Each has PyTorch's threads of its own, one per core: more videos would
only fight for the cores, and fewer threads for each would change the last digits of the results."""


class MemoryGauge:
    """Judges by one video, which runs alone after this was made.

    Args:
        device: Where the network runs: the memory that is short.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
            self._free = torch.cuda.mem_get_info(device)[0]
        else:
            give_memory_back()  # or the video would seem to need less than the next one will
            self._before = kibibytes("/proc/self/status", "VmRSS")
            self._free = kibibytes("/proc/meminfo", "MemAvailable")

    def fitting(self) -> int:
        """Videos like the one that has run that fit at once: from 1 to `MOST`, or to the cores."""
        if self._device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self._device)
        else:
            # The process's peak: what loading the weights took counts, too, which errs safely.
            peak = kibibytes("/proc/self/status", "VmHWM")
        growth = max(1, peak - self._before)
        cores = len(os.sched_getaffinity(0))
        return max(1, min(int(SHARE * self._free / growth), cores, MOST))


def kibibytes(path: str, name: str) -> int:
    """A figure of a file of /proc, such as ``VmHWM`` in ``/proc/self/status``; 0 if absent."""
    match = re.search(rf"^{name}:\s*(\d+) kB$", Path(path).read_text(), re.MULTILINE)
    return int(match[1]) if match else 0
