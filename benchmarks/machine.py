"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

CODE = Path(__file__).parents[1]
"""The folder of the packages: a checkout, or where they are installed."""

SPEEDY = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16")
"""Instruction sets that decide how fast a network is, as PyTorch names them."""


def describe() -> dict[str, str | int | None]:
    """The processor, its cores, and the versions and commit that a measurement holds for.

    Ask before measuring: what is committed meanwhile is not what runs.
    """
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    capable = torch.cpu.get_capabilities()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.machine(),
        "instructions": ", ".join(name for name in SPEEDY if capable.get(name, False)),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": version("torch"),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "av": version("av"),
        "commit": commit(),
    }


def device_name(device: torch.device) -> str:
    """What the driver calls a CUDA device; ``cpu``."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def commit(digits: int = 7) -> str | None:
    """The commit of the code, in `digits` digits or more where these are not unique.

    Returns:
        The commit, with ``+changes`` behind it where a file differs from it; None without git or
        outside of a checkout.
    """
    # An installed package may lie in a folder of somebody else's repository.
    if not (CODE / ".git").exists():
        return None
    # No tag matches nothing, so that the commit itself is named.
    command = ["git", "describe", "--always", "--match=", f"--abbrev={digits}", "--dirty=+changes"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CODE)
    except OSError:
        return None
    return found.stdout.strip() or None
