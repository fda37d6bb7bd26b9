"""The published network's way through a window, as slow as it was: what the product is measured by.

Every window computes everything: all frames' features, attention with its scores in memory, the 2-D
head frame by frame over all slots with the features copied for each of them, the 3-D head slot by
slot. The weights are a `VisTR`'s, so that both say the same.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import deform_conv2d

from model import VisTR, VisTROutput
from model.deformable import DeformableConv
from model.mask_head import MaskHead
from model.position import sine_positions
from model.transformer import Attention, DecoderLayer, EncoderLayer


@torch.no_grad()
def slow_reference(net: VisTR, images: Tensor) -> VisTROutput:
    """What `VisTR.forward` says of a window, in the published code's steps.

    Args:
        net: Whose weights and device to use; neither folded nor changed.
        images: [T, 3, H, W], ImageNet-normalised RGB of the parameters' type and device.

    Source: VisTR's ``models/segmentation.py`` and ``models/transformer.py`` at 445c9e4.
    """
    stride4, stride8, stride16, stride32 = net.vistr.backbone[0](images)
    projected = net.vistr.input_proj(stride32)
    frames, dim, height, width = projected.shape
    tokens = projected.flatten(2).permute(0, 2, 1).reshape(-1, dim)
    positions = sine_positions((frames, height, width), dim).to(tokens)
    memory = tokens
    for layer in net.vistr.transformer.encoder.layers:
        memory = _encode(cast("EncoderLayer", layer), memory, positions)
    queries = net.vistr.query_embed.weight
    target = torch.zeros_like(queries)
    for layer in net.vistr.transformer.decoder.layers:
        target = _decode(cast("DecoderLayer", layer), target, queries, memory, positions)
    embeddings = net.vistr.transformer.decoder.norm(target).view(frames, net.slots, dim)
    of_frames = memory.view(frames, height, width, dim).permute(0, 3, 1, 2)
    pixels = []
    for t in range(frames):
        attention = net.bbox_attention(embeddings[t : t + 1], of_frames[t : t + 1])[0]
        levels = [level[t] for level in (stride16, stride8, stride4)]
        pixels.append(_pyramid(net.mask_head, of_frames[t], attention, levels))
    # [T, K, C, h4, w4], slot by slot as [1, C, T, h4, w4]
    slots = torch.stack(pixels).permute(1, 2, 0, 3, 4)
    masks = torch.cat([net.insmask_head(slot[None])[0] for slot in slots])
    return VisTROutput(
        logits=net.vistr.class_embed(embeddings),
        boxes=net.vistr.bbox_embed(embeddings).sigmoid(),
        masks=masks.transpose(0, 1),
    )


def _encode(layer: EncoderLayer, tokens: Tensor, positions: Tensor) -> Tensor:
    placed = tokens + positions
    tokens = layer.norm1(tokens + _attend(layer.self_attn, placed, placed, tokens))
    refined: Tensor = layer.norm2(tokens + layer.linear2(F.relu(layer.linear1(tokens))))
    return refined


def _decode(
    layer: DecoderLayer, target: Tensor, queries: Tensor, memory: Tensor, positions: Tensor
) -> Tensor:
    placed = target + queries
    target = layer.norm1(target + _attend(layer.self_attn, placed, placed, target))
    seen = _attend(layer.multihead_attn, target + queries, memory + positions, memory)
    target = layer.norm2(target + seen)
    refined: Tensor = layer.norm3(target + layer.linear2(F.relu(layer.linear1(target))))
    return refined


def _attend(attention: Attention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention as ``nn.MultiheadAttention`` had it then: scores, softmax, sum; also their mean."""
    parts = zip(
        (query, key, value),
        attention.in_proj_weight.chunk(3),
        attention.in_proj_bias.chunk(3),
        strict=True,
    )
    q, k, v = (
        F.linear(x, weight, bias).view(len(x), attention.heads, -1).transpose(0, 1)
        for x, weight, bias in parts
    )
    weights = torch.bmm(q * q.shape[-1] ** -0.5, k.transpose(1, 2)).softmax(-1)
    answers = torch.bmm(weights, v).transpose(0, 1).flatten(1)
    # It returned the mean over the heads to nobody, and paid for it.
    weights.mean(0)
    projected: Tensor = attention.out_proj(answers)
    return projected


def _pyramid(head: MaskHead, memory: Tensor, attention: Tensor, levels: list[Tensor]) -> Tensor:
    """The 2-D head on one frame, [K, C, h4, w4]; `levels` are backbone features [C, h, w]."""
    slots = len(attention)
    x = torch.cat((memory.expand(slots, -1, -1, -1), attention), dim=1)
    x = F.relu(head.gn1(head.lay1(x)))
    x = F.relu(head.gn2(head.lay2(x)))
    steps = ((head.adapter1, head.lay3, head.gn3), (head.adapter2, head.lay4, head.gn4))
    for (adapter, layer, norm), level in zip(steps, levels, strict=False):
        x = F.relu(norm(layer(_added(adapter(level[None]), x))))
    x = _added(head.adapter3(levels[2][None]), x)
    if isinstance(head.dcn, DeformableConv):
        x = deform_conv2d(x, head.conv_offset(x), head.dcn.weight, padding=1)
    else:
        x = head.dcn(x)
    return F.relu(head.gn5(x))


def _added(level: Tensor, x: Tensor) -> Tensor:
    """A level [1, C, h, w], copied for each slot, and the coarser [K, C, h', w'] brought to it."""
    copied = level.expand(len(x), -1, -1, -1).contiguous()
    return copied + F.interpolate(x, size=copied.shape[-2:], mode="nearest")
