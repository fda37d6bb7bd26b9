"""Residual blocks with one kernel for each convolution and what follows it.

By itself PyTorch adds bias and shortcut and applies ReLU one after the other, each time reading and
writing all features: two fifths of a ResNet-50's time on an H100, a quarter of a MobileNetV2's on a
CPU. For inference, of backbones whose batch norms are folded.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import Conv2dNormActivation

Activation = Literal["none", "relu", "relu6"]

_ON_CPU = {
    "none": ("none", (), ""),
    "relu": ("relu", (), ""),
    "relu6": ("hardtanh", (0.0, 6.0), ""),
}
"""Name, limits and algorithm by which PyTorch's operators know an activation."""


class FusedConv(nn.Module):
    """A convolution that adds its bias and a shortcut and applies an activation by itself.

    On CUDA it is cuDNN's, which knows ReLU only. On a CPU it is oneDNN's, through the operators
    that torch.compile uses too, and its weights are packed when it first runs: otherwise PyTorch
    would pack them again in every call. From then on neither they nor its device or dtype may
    change.

    Args:
        conv: On its device, in its dtype, channels last.
        activation: What it applies.
    """

    def __init__(self, conv: nn.Conv2d, activation: Activation) -> None:
        super().__init__()
        self.conv = conv
        self.activation = activation
        self._packed: Tensor | None = None

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Convolve [n, C, h, w], channels last; `shortcut` is added before the activation.

        On a CPU the result takes the place of the shortcut.
        """
        return self._on_cuda(x, shortcut) if x.is_cuda else self._on_cpu(x, shortcut)

    def _on_cuda(self, x: Tensor, shortcut: Tensor | None) -> Tensor:
        conv = self.conv
        # torchvision's convolutions give no names for padding
        stride, padding = conv.stride, cast("tuple[int, ...]", conv.padding)
        geometry: tuple[Sequence[int], Sequence[int], Sequence[int], int]
        geometry = (stride, padding, conv.dilation, conv.groups)
        if self.activation == "none":
            return F.conv2d(x, conv.weight, conv.bias, *geometry)
        if self.activation != "relu":
            raise ValueError(f"activation is {self.activation!r}; cuDNN fuses relu only")
        if shortcut is None:
            return torch.cudnn_convolution_relu(x, conv.weight, conv.bias, *geometry)
        return torch.cudnn_convolution_add_relu(x, conv.weight, shortcut, 1.0, conv.bias, *geometry)

    def _on_cpu(self, x: Tensor, shortcut: Tensor | None) -> Tensor:
        conv = self.conv
        if self._packed is None:
            self._packed = torch.ops.aten.mkldnn_reorder_conv2d_weight(
                conv.weight.detach().to_mkldnn(),
                *(conv.padding, conv.stride, conv.dilation, conv.groups, x.shape),
            )
        weights = self._packed, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups
        result: Tensor
        if shortcut is None:
            apart = torch.ops.mkldnn._convolution_pointwise
            result = apart(x, *weights, *_ON_CPU[self.activation])
        else:
            name = None if self.activation == "none" else self.activation
            in_place = torch.ops.mkldnn._convolution_pointwise_.binary
            result = in_place(shortcut, x, *weights, "add", 1.0, name, (), None)
        return result


class FusedBlock(nn.Module):
    """ResNet's residual block of fused convolutions.

    It may overwrite its input. In torchvision's ResNets only the next block reads that; the levels
    that a backbone returns go into blocks that change the size, so that they write elsewhere.

    Args:
        block: Its batch norms are folded.
    """

    def __init__(self, block: BasicBlock | Bottleneck) -> None:
        super().__init__()
        convolutions = [
            cast("nn.Conv2d", conv)
            for name, conv in block.named_children()
            if name.startswith("conv")
        ]
        self.downsample: nn.Module | None = None
        if block.downsample is not None:
            conv, last = cast("nn.Conv2d", block.downsample[0]), convolutions[-1]
            # Added once instead of twice: cuDNN adds a bias only together with a ReLU.
            if conv.bias is not None and last.bias is not None:
                last.bias = nn.Parameter(last.bias + conv.bias, requires_grad=False)
                conv.bias = None
            self.downsample = FusedConv(conv, "none")
        self.convolutions = nn.ModuleList(FusedConv(conv, "relu") for conv in convolutions)

    def forward(self, x: Tensor) -> Tensor:
        """As the block's: [n, C, h, w] in, channels last, and out."""
        shortcut = x if self.downsample is None else self.downsample(x)
        *first, last = self.convolutions
        for conv in first:
            x = conv(x)
        fused: Tensor = last(x, shortcut)
        return fused


class FusedInvertedResidual(nn.Module):
    """MobileNetV2's block of fused convolutions; it may write over its input, like `FusedBlock`.

    Args:
        block: Its batch norms are folded.
    """

    def __init__(self, block: InvertedResidual) -> None:
        super().__init__()
        *first, last, _ = block.conv
        self.first = nn.Sequential(*(FusedConv(layer[0], "relu6") for layer in first))
        self.last = FusedConv(last, "none")
        self.has_shortcut = block.use_res_connect

    def forward(self, x: Tensor) -> Tensor:
        """As the block's: [n, C, h, w] in, channels last, and out."""
        fused: Tensor = self.last(self.first(x), x if self.has_shortcut else None)
        return fused


def fuse_blocks(backbone: nn.Module) -> None:
    """Put fused blocks into a backbone, in place, if its device has kernels for its arithmetic.

    That is for good: it may not be moved, converted or trained afterwards.

    Args:
        backbone: On its device, in its dtype, channels last, its batch norms folded.
    """
    parameter = next(backbone.parameters())
    _replace(backbone, _fusions(parameter.device, parameter.dtype))


def _replace(module: nn.Module, fusions: Mapping[type, Callable[[Any], nn.Module]]) -> None:
    for name, child in list(module.named_children()):
        fuse = fusions.get(type(child))
        if fuse is None:
            _replace(child, fusions)
        else:
            setattr(module, name, fuse(child))


def _fuse_resnet(body: ResNet) -> ResNet:
    _replace(body, {BasicBlock: FusedBlock, Bottleneck: FusedBlock})
    body.conv1, body.relu = FusedConv(body.conv1, "relu"), nn.Identity()
    return body


def _fusions(device: torch.device, dtype: torch.dtype) -> Mapping[type, Callable[[Any], nn.Module]]:
    """What takes the place of which blocks."""
    resnet = {ResNet: _fuse_resnet}
    if device.type == "cuda":
        is_half = dtype in (torch.bfloat16, torch.float16)
        return resnet if is_half and torch.version.cuda is not None else {}
    # The processors that oneDNN's kernels were measured on.
    is_x86 = device.type == "cpu" and platform.machine() == "x86_64"
    has_kernels = is_x86 and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    calculates = dtype == torch.float32 or (
        dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    if not (has_kernels and calculates):
        return {}
    return {
        **resnet,
        InvertedResidual: FusedInvertedResidual,
        Conv2dNormActivation: lambda layer: FusedConv(layer[0], "relu6"),  # MobileNetV2's first
    }
