"""Choosing the device and the arithmetic, and loading the weights onto it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from model import CheckpointError as ModelCheckpointError
from model import VisTR, load_vistr
from model.backbone import MobileNetBackbone
from model.deformable import DeformableConv
from model.folding import fold_batch_norms
from model.fused_blocks import fuse_blocks
from model.layout import store_channels_last
from streamer.config import Precision
from streamer.errors import CheckpointError, DeviceError
from streamer.option_check import Auto

DTYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


SMALLER_INPUT = "a smaller --short_side needs less"
"""What helps where memory runs out on a window. A smaller region of interest does not: it is scaled
to the same size."""

CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
"""The control groups (version 2), and which of them this process is in. Source: the kernel's
``Documentation/admin-guide/cgroup-v2.rst``."""


def choose_device(device: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device to run on; ``auto`` is CUDA where there is one.

    Raises:
        DeviceError: CUDA was asked for and is not there.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise DeviceError("device is 'cuda', but no CUDA device is available; allowed: auto, cpu")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The network's dtype; ``auto``: bf16 on CUDA (fp16 before Ampere) and on CPUs that have it."""
    if precision != "auto":
        return DTYPES[precision]
    if device.type == "cpu":
        # Arm has bf16 too, but there nobody has measured whether it pays.
        return torch.bfloat16 if _cpu_has("avx512_bf16", "amx_bf16") else torch.float32
    return torch.bfloat16 if calculates_bf16(device) else torch.float16


def calculates_bf16(device: torch.device) -> bool:
    """Whether a device calculates in bfloat16, instead of imitating it, many times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _cpu_has("avx512_bf16", "amx_bf16", "arm_bf16")


def _cpu_has(*names: str) -> bool:
    """Whether the CPU has one of some instruction sets, as PyTorch names them."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in names)


def choose_threads(
    threads: Auto | int, groups: Path = CGROUPS, own_group: Path = OWN_CGROUP
) -> int:
    """Threads to calculate in; ``auto``: one for each core, at most as many as the quota allows.

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
            used_us, period_us = (group / "cpu.max").read_text(encoding="ascii").split()
            yield max(1, ceil(int(used_us) / int(period_us)))  # "max" is no number


@dataclass(frozen=True, slots=True)
class Expected:
    """What the weights are expected to be; None takes what they say.

    Attributes:
        frames: Frames in a window.
        slots: Instance slots.
        backbone: Name of the backbone.
        categories: File with a category name a line, for weights that don't name theirs.
    """

    frames: int | None = None
    slots: int | None = None
    backbone: str | None = None
    categories: str | None = None


def load_network(
    path: str | None, device: torch.device, dtype: torch.dtype, expected: Expected
) -> VisTR:
    """The network of a checkpoint (None: the shipped default), folded and ready to predict.

    Args:
        path: A ``.pth`` or ``.safetensors`` file.
        device: Where it will run.
        dtype: Its arithmetic.
        expected: What it must be.

    Raises:
        CheckpointError: The weights cannot be loaded, or are not what was expected.
        DeviceError: They do not fit onto the device.
    """
    try:
        net = load_vistr(path, **asdict(expected))
    except ModelCheckpointError as error:
        raise CheckpointError(str(error)) from error
    fold_batch_norms(net.vistr.backbone)
    store_channels_last(net)
    # By default cuDNN rounds float32 to TF32's 10 bits in convolutions: scores move by 0.007.
    torch.backends.cudnn.allow_tf32 = False
    with device_errors(device, "while loading the weights"):
        convert(net, device, dtype)
        if isinstance(net.mask_head.dcn, DeformableConv):
            net.mask_head.dcn.compiled()  # now, not when the first object comes into view
        return net


def convert(net: VisTR, device: torch.device, dtype: torch.dtype) -> None:
    """Bring a folded network to its device and arithmetic, in place and for good."""
    backbone = net.vistr.backbone
    halved = dtype in (torch.bfloat16, torch.float16)
    if halved and device.type == "cpu" and isinstance(backbone[0], MobileNetBackbone):
        # It stays as it is: rounding there costs masks most (IoU 0.98 instead of 0.99), and AMX
        # would gain it little, as most of its convolutions are of one channel each.
        net.vistr.backbone = nn.ModuleList()
    net.to(device, dtype)
    net.vistr.backbone = backbone
    fuse_blocks(backbone)


def default_stream(device: torch.device) -> AbstractContextManager[object]:
    """While in this context, work on CUDA goes onto the device's default stream.

    The decoder's thread and the network's hand tensors to each other without waiting: one stream
    for both keeps the order, whichever a program that embeds the stream is on.
    """
    if device.type != "cuda":
        return nullcontext()
    return torch.cuda.stream(torch.cuda.default_stream(device))


@contextmanager
def device_errors(device: torch.device, doing: str, remedy: str | None = None) -> Iterator[None]:
    """Raise PyTorch's run-time errors as a `DeviceError` that says what was being done.

    Args:
        device: Where it is done.
        doing: What.
        remedy: What helps where memory runs out.
    """
    try:
        yield
    except RuntimeError as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        # CUDA has a type for it; the CPU's allocator and oneDNN say it in words only.
        words = ("allocate memory", "bad_alloc", "could not create a primitive")
        if isinstance(error, torch.OutOfMemoryError) or any(each in str(error) for each in words):
            reason = "out of memory" + (f"; {remedy}" if remedy else "")
        raise DeviceError(f"{device} failed {doing}: {reason}") from error
