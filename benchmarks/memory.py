"""Memory of this process, on the host and on its device."""

from __future__ import annotations

from pathlib import Path

import torch

from streamer.dataset.memory import kibibytes


def reset_peak() -> None:
    """Let the peaks count from now on."""
    # Source: proc(5), clear_refs.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def resident_mib() -> float:
    """The resident set of this process, in MiB."""
    return kibibytes("/proc/self/status", "VmRSS") / 2**10


def peak_mib(device: torch.device) -> dict[str, float]:
    """The highest resident set since, and on CUDA the most that tensors and PyTorch took, in MiB.

    PyTorch keeps more than tensors need. Contexts and decoders are in neither.
    """
    peaks = {"host": kibibytes("/proc/self/status", "VmHWM") / 2**10}
    if device.type == "cuda":
        peaks["cuda"] = torch.cuda.max_memory_allocated(device) / 2**20
        peaks["cuda reserved"] = torch.cuda.max_memory_reserved(device) / 2**20
    return peaks
