"""Convolutions that have taken in the frozen batch norms behind them: cheaper, and the same."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from model.backbone import FrozenBatchNorm2d


def fold_batch_norms(module: nn.Module) -> None:
    """Fold every frozen batch norm below a module into the convolution that it follows, in place.

    For inference: what a checkpoint would need is gone afterwards. A norm follows a convolution
    where it is registered right after it, as in all of torchvision's backbones.
    """
    for (_, conv), (name, norm) in pairwise(list(module.named_children())):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, FrozenBatchNorm2d):
            conv.weight, conv.bias = fuse_conv_bn_weights(
                *(conv.weight, conv.bias, norm.running_mean, norm.running_var),
                *(norm.eps, norm.weight, norm.bias),
            )
            setattr(module, name, nn.Identity())
    for child in module.children():
        fold_batch_norms(child)
