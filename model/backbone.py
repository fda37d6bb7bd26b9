"""Per-frame image features at strides 4, 8, 16 and 32."""

from __future__ import annotations

import torch.nn.functional as F
import torchvision.models
import torchvision.ops
from torch import Tensor, nn

Levels = tuple[Tensor, Tensor, Tensor, Tensor]
"""[n, C, h, w] at strides 4, 8, 16 and 32 (rounded up)."""


class FrozenBatchNorm2d(torchvision.ops.FrozenBatchNorm2d):  # type: ignore[misc]
    """torchvision's, in one pass over the features, which is quicker."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [n, channels, h, w]."""
        constants = self.running_mean, self.running_var, self.weight, self.bias
        return F.batch_norm(x, *constants, training=False, eps=self.eps)


class ResNetBackbone(nn.Module):
    """torchvision's ResNet without its classifier.

    Args:
        name: ``resnet18``, ``resnet34``, ``resnet50`` or ``resnet101``.
        dilation: Whether the last stage is dilated instead of strided and so stays at stride 16.
    """

    def __init__(self, name: str, *, dilation: bool) -> None:
        super().__init__()
        body = torchvision.models.get_model(
            name,
            weights=None,
            norm_layer=FrozenBatchNorm2d,
            replace_stride_with_dilation=[False, False, dilation],
        )
        del body.avgpool, body.fc
        self.body = body

    def forward(self, images: Tensor) -> Levels:
        """Features of [n, 3, H, W] images."""
        body = self.body
        stem = body.maxpool(body.relu(body.bn1(body.conv1(images))))
        stride4 = body.layer1(stem)
        stride8 = body.layer2(stride4)
        stride16 = body.layer3(stride8)
        return stride4, stride8, stride16, body.layer4(stride16)


class MobileNetBackbone(nn.Module):
    """torchvision's MobileNetV2 features up to the last inverted residual."""

    def __init__(self) -> None:
        super().__init__()
        network = torchvision.models.mobilenet_v2(weights=None, norm_layer=FrozenBatchNorm2d)
        # Without the last 1×1 convolution to 1280 channels, which serves classification.
        self.body = network.features[:18]

    def forward(self, images: Tensor) -> Levels:
        """Features of [n, 3, H, W] images: the outputs of blocks 3, 6, 13 and 17."""
        stride4 = self.body[:4](images)
        stride8 = self.body[4:7](stride4)
        stride16 = self.body[7:14](stride8)
        return stride4, stride8, stride16, self.body[14:](stride16)


def build_backbone(name: str, *, dilation: bool) -> ResNetBackbone | MobileNetBackbone:
    """The backbone of that name, a key of `architecture.BACKBONE_CHANNELS`."""
    if name == "mobilenet_v2":
        return MobileNetBackbone()
    return ResNetBackbone(name, dilation=dilation)
