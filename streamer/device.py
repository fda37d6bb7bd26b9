"""The device and its arithmetic: which, how it is worked on, and how it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from streamer.config import Precision
from streamer.errors import DeviceError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")

DTYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}

SMALLER_INPUT = "a smaller --short_side needs less"
"""What helps where memory runs out on a window. A smaller region of interest does not: it is scaled
to the same size."""


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
    return torch.bfloat16 if has_native_bf16(device) else torch.float16


def has_native_bf16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself; emulating it is many times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _cpu_has("avx512_bf16", "amx_bf16", "arm_bf16")


def _cpu_has(*names: str) -> bool:
    """Whether the CPU has one of some instruction sets, as PyTorch names them."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in names)


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


@contextmanager
def working_on(device: torch.device, doing: str, remedy: str | None = None) -> Iterator[None]:
    """While in this context, work on a device as `default_stream` and `device_errors` have it.

    In the network's own precision: what a program casts around its stream is its own.
    """
    casts = torch.amp.is_autocast_available(device.type)
    exactly = torch.autocast(device.type, enabled=False) if casts else nullcontext()
    with default_stream(device), device_errors(device, doing, remedy), exactly:
        yield


def check_finite(finite: bool, dtype: torch.dtype, does: str = "outputs") -> None:
    """Raise a `DeviceError` unless what the network gives or has, in its dtype, is finite.

    Args:
        finite: Whether it is.
        dtype: The network's.
        does: What the network does with numbers that are not.
    """
    if not finite:
        raise DeviceError(
            f"the network {does} NaN or infinity in {dtype}; in another --precision, such "
            "as fp32, it may not"
        )
