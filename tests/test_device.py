"""`streamer.device`: which device and arithmetic are chosen, and what its failures are called."""

from __future__ import annotations

import pytest
import torch

from streamer.device import choose_device, choose_dtype, device_errors, has_native_bf16
from streamer.errors import DeviceError


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"avx2": True}, torch.float32),
        ({"arm_bf16": True}, torch.float32),
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": True, "amx_bf16": True}, torch.bfloat16),
    ],
)
def test_auto_on_a_cpu_is_bf16_where_it_has_avx512_or_amx_for_it(
    found: dict[str, bool], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    cpu = torch.device("cpu")
    assert choose_dtype("auto", cpu) is expected
    assert choose_dtype("bf16", cpu) is torch.bfloat16
    assert choose_dtype("fp32", cpu) is torch.float32
    assert choose_device("cpu") == cpu


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "arm_bf16"])
def test_a_cpu_calculates_in_bf16_where_it_has_instructions_for_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    known = torch.cpu.get_capabilities()
    assert name in known or (known["architecture"] == "x86_64") == name.startswith("arm")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, name: False})
    assert not has_native_bf16(cpu)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, name: True})
    assert has_native_bf16(cpu)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_asked_for_and_absent() -> None:
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(DeviceError, match="device is 'cuda'"):
        choose_device("cuda")


def test_an_error_without_words_has_a_name() -> None:
    with (
        pytest.raises(DeviceError, match=r"cpu failed here: RuntimeError\(\)"),
        device_errors(torch.device("cpu"), "here"),
    ):
        raise RuntimeError


@pytest.mark.parametrize(
    "words",
    ["[enforce fail] can't allocate memory", "could not create a primitive", "std::bad_alloc"],
)
def test_no_memory_is_known_by_its_words(words: str) -> None:
    with (
        pytest.raises(DeviceError, match="cpu failed here: out of memory; wait"),
        device_errors(torch.device("cpu"), "here", "wait"),
    ):
        raise RuntimeError(words)
