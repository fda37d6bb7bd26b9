from __future__ import annotations

import logging

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import deform_conv2d

from model.cuda_graphs import GraphedFunction
from model.deformable import DeformableConv, compiled_kernel, convolve_then_gather
from tests.processes import words_of

INTERPRETED = """
import torch
from torchvision.ops import deform_conv2d
from model.deformable_kernel import sample_and_convolve

torch.manual_seed(0)
for reach in (0.3, 3, 30, 1e30):
    x, weight = torch.randn(3, 7, 6, 5), torch.randn(5, 7, 3, 3)
    offset = torch.randn(3, 18, 6, 5) * reach
    offset[0] = offset[0].round()
    expected = deform_conv2d(x, offset, weight, padding=1)
    print(float((sample_and_convolve(x, offset, weight) - expected).abs().max()))
offset = torch.zeros(3, 18, 6, 5)
offset[0, 3, 2, 4] = torch.nan
print(*sample_and_convolve(x, offset, weight).isnan().any(1).nonzero().flatten().tolist())
"""

POISONED = """
import torch
from model.deformable import DeformableConv

layer, offset = DeformableConv(6, 3), torch.zeros(1, 18, 40, 50)
expected = layer(torch.ones(1, 6, 40, 50), offset)
offset[0, 5, 7, 9], offset[0, 4, 20, 30] = torch.nan, torch.inf
moved = layer(torch.ones(1, 6, 40, 50), offset.requires_grad_())
moved.sum().backward()
print(*moved.isnan().any(1).nonzero().flatten().tolist(), int((moved != expected).any(1).sum()))
print(int(offset.grad.isnan().sum()))
"""


def test_without_offsets_it_is_a_convolution() -> None:
    layer = DeformableConv(6, 3).requires_grad_(False)
    x = torch.randn(2, 6, 5, 7)
    expected = F.conv2d(x, layer.weight, padding=1)
    for grad in (False, True):  # both ways to calculate it
        with torch.set_grad_enabled(grad):
            moved = layer(x, torch.zeros(2, 18, 5, 7))
        torch.testing.assert_close(moved, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_it_reads_where_the_offsets_point() -> None:
    layer = DeformableConv(6, 3)
    x = torch.randn(1, 6, 8, 9)
    offset = torch.zeros(1, 18, 8, 9)
    offset[:, 0::2] = 2  # two rows down, for all taps
    offset[:, 1::2] = -1  # one column to the left
    moved = layer(x, offset)
    plain = layer(x, torch.zeros_like(offset))
    torch.testing.assert_close(moved[..., 1:5, 3:7], plain[..., 3:7, 2:6], atol=1e-5, rtol=1e-5)


def test_where_an_offset_is_no_number_the_answer_is_none_when_learning() -> None:
    # In a process of its own: torchvision's kernel for CPUs would read what is not there.
    words = words_of(POISONED, {}, ())
    assert words == ["0", "7", "9", "2", "0"]  # an infinite one reads zero, beyond the map


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@torch.no_grad()
def test_it_keeps_the_type(dtype: torch.dtype) -> None:
    layer = DeformableConv(6, 3).to(dtype)
    out = layer(torch.ones(1, 6, 4, 4, dtype=dtype), torch.zeros(1, 18, 4, 4, dtype=dtype))
    assert out.dtype == dtype


@pytest.mark.parametrize("reach", [0.3, 2, 30, 1e6, 1e30])
@pytest.mark.parametrize("size", [(2, 2), (5, 9), (16, 3)])
def test_the_quick_way_gives_what_torchvision_gives(reach: float, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 7, *size, dtype=torch.float64)
    offset = torch.randn(3, 18, *size, dtype=torch.float64) * reach
    offset[0] = offset[0].round()  # exactly on pixels, and exactly on the border and beyond
    weight = torch.randn(5, 7, 3, 3, dtype=torch.float64)
    expected = deform_conv2d(x, offset, weight, padding=1)
    torch.testing.assert_close(convolve_then_gather(x, offset, weight), expected)


def test_an_offset_that_is_no_number_gives_none() -> None:
    x, weight = torch.randn(2, 7, 5, 9), torch.randn(5, 7, 3, 3)
    offset = torch.randn(2, 18, 5, 9)
    offset[0, 3, 2, 4] = offset[1, 0, 0, 0] = torch.nan
    lost = torch.zeros(2, 5, 5, 9, dtype=torch.bool)
    lost[0, :, 2, 4] = lost[1, :, 0, 0] = True
    assert torch.equal(convolve_then_gather(x, offset, weight).isnan(), lost)


@pytest.mark.gpu
def test_the_quick_way_is_the_same_on_cuda() -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 7, 16, 23, dtype=torch.float64)
    offset = torch.randn(5, 18, 16, 23, dtype=torch.float64) * 4
    weight = torch.randn(5, 7, 3, 3, dtype=torch.float64)
    expected = deform_conv2d(x, offset, weight, padding=1)
    actual = convolve_then_gather(x.cuda(), offset.cuda(), weight.cuda())
    torch.testing.assert_close(actual.cpu(), expected)


def test_the_kernel_gives_what_torchvision_gives() -> None:
    pytest.importorskip("triton", reason="PyTorch comes without CUDA here")
    # Triton's interpreter runs it on a CPU.
    *differences, image, row, column = words_of(INTERPRETED, {"TRITON_INTERPRET": "1"}, ())
    assert max(map(float, differences)) < 1e-4
    assert len(differences) == 4
    assert (image, row, column) == ("0", "2", "4"), "where an offset is NaN"


@pytest.mark.parametrize(
    ("dtype", "precision"), [("bf16", "tf32"), ("fp16", "tf32"), ("fp32", "ieee")]
)
def test_the_kernel_can_be_compiled_for_cuda(dtype: str, precision: str) -> None:
    triton = pytest.importorskip("triton", reason="PyTorch comes without CUDA here")
    from triton.backends.compiler import GPUTarget  # noqa: PLC0415
    from triton.compiler import ASTSource  # noqa: PLC0415

    from model.deformable_kernel import STAGES, WARPS, _kernel  # noqa: PLC0415

    tensors = dict.fromkeys(("source", "weight", "moved"), f"*{dtype}") | {"offset": "*fp32"}
    sizes = dict.fromkeys(("pixels", "height", "width"), "i32")
    channels = {"inputs": 48, "outputs": 24, "padded_inputs": 64, "padded_outputs": 32}
    constants = channels | {"at_once": 64, "precision": precision}
    signature = tensors | sizes | dict.fromkeys(constants, "constexpr")
    # As those of PyTorch's tensors, addresses are multiples of 16.
    aligned = {(argument,): [["tt.divisibility", 16]] for argument in range(len(tensors))}
    ordered = {name: signature[name] for name in _kernel.arg_names}
    source = ASTSource(_kernel, ordered, constants, aligned)
    options = {"num_warps": WARPS, "num_stages": STAGES}
    # Of compute capability 9.0, whose instructions need no such device to be written.
    compiled = triton.compile(source, GPUTarget("cuda", 90, 32), options)
    assert compiled.asm["cubin"]
    assert compiled.metadata.shared <= 48 * 1024  # which all devices have


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("dtype", "error"),
    [(torch.float32, 5e-6), (torch.float16, 1e-3), (torch.bfloat16, 6e-3)],
    ids=str,
)
@torch.no_grad()
def test_the_kernel_runs_on_cuda(dtype: torch.dtype, error: float) -> None:
    torch.manual_seed(0)
    layer = DeformableConv(48, 24).to("cuda", dtype)
    x = torch.randn(3, 48, 30, 41, device="cuda", dtype=dtype)
    offset = torch.randn(3, 18, 30, 41, device="cuda") * 3
    exact = deform_conv2d(x.double(), offset.double(), layer.weight.double(), padding=1)
    actual = layer(x, offset)
    assert layer.compiled() is not None
    assert actual.dtype == dtype
    assert (actual - exact).std() < error * exact.std()
    recorded = GraphedFunction(lambda *inputs: (layer(*inputs),), torch.cuda.graph_pool_handle())
    with torch.inference_mode():
        first, again = (recorded(x, offset)[0] for _ in range(2))
    assert torch.equal(first, actual)
    assert torch.equal(again, actual)


def test_where_the_kernel_cannot_be_compiled_this_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    compiled_kernel.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert compiled_kernel(torch.device("cpu"), torch.float32, 4, 2) is None
    assert "no kernel for deformable convolutions, a slower way is taken" in caplog.text


def test_the_quick_way_is_exact_in_single_precision_too() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 48, 30, 41).contiguous(memory_format=torch.channels_last)
    offset = torch.randn(2, 18, 30, 41) * 3
    weight = torch.randn(24, 48, 3, 3)
    expected = deform_conv2d(x, offset, weight, padding=1)
    actual = convolve_then_gather(x, offset, weight)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def test_the_quick_way_rounds_little_in_half_precision() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 48, 30, 41).bfloat16(), torch.randn(24, 48, 3, 3).bfloat16()
    offset = torch.randn(2, 18, 30, 41) * 3
    exact = deform_conv2d(x.double(), offset.double(), weight.double(), padding=1)
    actual = convolve_then_gather(x, offset, weight)
    assert actual.dtype == torch.bfloat16
    # The result alone rounds by 0.0017 of its deviation, on average.
    assert (actual - exact).std() < 0.003 * exact.std()


@torch.no_grad()
def test_maps_one_pixel_high_or_wide_do() -> None:
    layer = DeformableConv(4, 2)
    x = torch.randn(1, 4, 1, 6)
    assert layer(x, torch.zeros(1, 18, 1, 6)).shape == (1, 2, 1, 6)


def test_gradients_pass() -> None:
    layer = DeformableConv(4, 2)
    offset = torch.full((1, 18, 5, 6), 0.5, requires_grad=True)
    layer(torch.randn(1, 4, 5, 6), offset).sum().backward()
    assert offset.grad is not None
    assert offset.grad.abs().sum() > 0
    assert layer.weight.grad is not None
