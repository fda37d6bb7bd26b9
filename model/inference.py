"""A loaded network is made ready to predict."""

from __future__ import annotations

import torch
from torch import nn

from model.backbone import MobileNetBackbone
from model.deformable import DeformableConv
from model.folding import fold_batch_norms
from model.fused_blocks import fuse_blocks
from model.layout import store_channels_last
from model.vistr import VisTR


def optimise_for_inference(net: VisTR, device: torch.device, dtype: torch.dtype) -> None:
    """Fold, lay out, move, convert and fuse a network, in place and for good: it only infers then.

    Args:
        net: As `load_vistr` gives it.
        device: Where it will run.
        dtype: Its arithmetic; on a CPU MobileNetV2 stays in single precision instead of half.
    """
    backbone = net.vistr.backbone
    fold_batch_norms(backbone)
    store_channels_last(net)
    halved = dtype in (torch.bfloat16, torch.float16)
    if halved and device.type == "cpu" and isinstance(backbone[0], MobileNetBackbone):
        # Rounding there costs masks most (IoU 0.98 instead of 0.99), and AMX would gain it little,
        # as most of its convolutions are of one channel each.
        net.vistr.backbone = nn.ModuleList()
    net.to(device, dtype)
    net.vistr.backbone = backbone
    fuse_blocks(backbone)
    if isinstance(net.mask_head.dcn, DeformableConv):
        net.mask_head.dcn.compiled()  # now, not when the first object comes into view
