"""A readable slow VisTR, straight from a state dict, with the loops of the published code.

Nothing here comes from `model`: frames go through the mask head one by one with their slots
batched, slots through the 3-D head one by one, attention is written out, and the deformable
convolution samples tap by tap.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import torchvision.models
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class ReferenceOutput:
    logits: Tensor  # [T, K, C + 1]
    boxes: Tensor  # [T, K, 4]
    masks: Tensor  # [T, K, h, w]


def reference_vistr(
    weights: Weights, images: Tensor, *, backbone: str, heads: int, dilation: bool = False
) -> ReferenceOutput:
    """The network's output for [T, 3, H, W] images; everything else is read off the weights."""
    frames = len(images)
    levels = _backbone(_under(weights, "vistr.backbone.0.body"), images, backbone, dilation)
    projected = _conv(_under(weights, "vistr.input_proj"), levels[3], padding=0)
    _, dim, height, width = projected.shape
    source = projected.permute(0, 2, 3, 1).reshape(-1, dim)
    positions = _positions(frames, height, width, dim).to(source.dtype)
    queries = weights["vistr.query_embed.weight"]
    memory = _encoder(_under(weights, "vistr.transformer.encoder"), source, positions, heads)
    decoder = _under(weights, "vistr.transformer.decoder")
    embeddings = _decoder(decoder, queries, memory, positions, heads)
    boxes = embeddings
    for layer in range(3):
        boxes = _linear(_under(weights, f"vistr.bbox_embed.layers.{layer}"), boxes)
        boxes = boxes.relu() if layer < 2 else boxes.sigmoid()
    logits = _linear(_under(weights, "vistr.class_embed"), embeddings)
    embeddings = embeddings.reshape(frames, -1, dim)
    memory = memory.reshape(frames, height, width, dim).permute(0, 3, 1, 2)
    slot_features = torch.stack(
        [
            _frame_head(weights, embeddings[t], memory[t], [level[t] for level in levels], heads)
            for t in range(frames)
        ]
    )
    masks = [
        _instance_head(_under(weights, "insmask_head"), slot_features[:, slot])
        for slot in range(embeddings.shape[1])
    ]
    return ReferenceOutput(
        logits.reshape(frames, -1, logits.shape[-1]),
        boxes.reshape(frames, -1, 4),
        torch.stack(masks, dim=1),
    )


def _under(weights: Weights, prefix: str) -> dict[str, Tensor]:
    start = prefix + "."
    return {key.removeprefix(start): w for key, w in weights.items() if key.startswith(start)}


def _backbone(weights: Weights, images: Tensor, name: str, dilation: bool) -> list[Tensor]:
    if name == "mobilenet_v2":
        network = torchvision.models.mobilenet_v2(norm_layer=FrozenBatchNorm2d).features[:18]
        outputs = ["3", "6", "13", "17"]
    else:
        network = torchvision.models.get_model(
            name,
            norm_layer=FrozenBatchNorm2d,
            replace_stride_with_dilation=[False, False, dilation],
        )
        network = nn.Sequential(_without_classifier(network))
        outputs = ["layer1", "layer2", "layer3", "layer4"]
    network.load_state_dict(weights)
    network.to(images.dtype)
    levels = []
    for part, module in network.named_children():
        images = module(images)
        if part in outputs:
            levels.append(images.detach())
    return levels


def _without_classifier(resnet: nn.Module) -> OrderedDict[str, nn.Module]:
    parts = resnet.named_children()
    return OrderedDict((name, part) for name, part in parts if name not in ("avgpool", "fc"))


def _positions(frames: int, height: int, width: int, dim: int) -> Tensor:
    every_token = torch.ones(frames, height, width)
    channels = dim // 3
    encodings = []
    for axis in range(3):
        index = every_token.cumsum(axis)
        last = index.select(axis, -1).unsqueeze(axis)
        phase = index / (last + 1e-6) * 2 * math.pi
        for channel in range(channels):
            angle = phase / 10000 ** (2 * (channel // 2) / channels)
            encodings.append(angle.cos() if channel % 2 else angle.sin())
    return torch.stack(encodings, dim=-1).reshape(-1, dim)


def _encoder(weights: Weights, tokens: Tensor, positions: Tensor, heads: int) -> Tensor:
    layer = 0
    while own := _under(weights, f"layers.{layer}"):
        placed = tokens + positions
        attended = _attention(_under(own, "self_attn"), placed, placed, tokens, heads)
        tokens = _norm(_under(own, "norm1"), tokens + attended)
        tokens = _norm(_under(own, "norm2"), tokens + _feed_forward(own, tokens))
        layer += 1
    return tokens


def _decoder(
    weights: Weights, queries: Tensor, memory: Tensor, positions: Tensor, heads: int
) -> Tensor:
    target = torch.zeros_like(queries)
    layer = 0
    while own := _under(weights, f"layers.{layer}"):
        placed = target + queries
        attended = _attention(_under(own, "self_attn"), placed, placed, target, heads)
        target = _norm(_under(own, "norm1"), target + attended)
        attended = _attention(
            _under(own, "multihead_attn"), target + queries, memory + positions, memory, heads
        )
        target = _norm(_under(own, "norm2"), target + attended)
        target = _norm(_under(own, "norm3"), target + _feed_forward(own, target))
        layer += 1
    return _norm(_under(weights, "norm"), target)


def _attention(weights: Weights, query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    dim = query.shape[-1]
    projected = [
        tokens @ weights["in_proj_weight"][part * dim : (part + 1) * dim].T
        + weights["in_proj_bias"][part * dim : (part + 1) * dim]
        for part, tokens in enumerate((query, key, value))
    ]
    answers = []
    for head in range(heads):
        own = slice(head * dim // heads, (head + 1) * dim // heads)
        q, k, v = (tokens[:, own] for tokens in projected)
        answers.append((q @ k.T / math.sqrt(dim // heads)).softmax(-1) @ v)
    return _linear(_under(weights, "out_proj"), torch.cat(answers, dim=-1))


def _feed_forward(weights: Weights, tokens: Tensor) -> Tensor:
    hidden = _linear(_under(weights, "linear1"), tokens).relu()
    return _linear(_under(weights, "linear2"), hidden)


def _frame_head(
    weights: Weights, embeddings: Tensor, memory: Tensor, levels: list[Tensor], heads: int
) -> Tensor:
    """[K, D / 16, h, w] features of one frame's slots."""
    maps = _box_attention(_under(weights, "bbox_attention"), embeddings, memory, heads)
    own = _under(weights, "mask_head")
    x = torch.cat([memory.expand(len(maps), -1, -1, -1), maps], dim=1)
    x = _group_norm(_under(own, "gn1"), _conv(_under(own, "lay1"), x)).relu()
    for layer, level in enumerate((levels[2], levels[1], levels[0]), start=1):
        x = _conv(_under(own, f"lay{layer + 1}"), x)
        x = _group_norm(_under(own, f"gn{layer + 1}"), x).relu()
        adapted = _conv(_under(own, f"adapter{layer}"), level[None], padding=0)
        x = adapted + F.interpolate(x, size=adapted.shape[-2:], mode="nearest")
    if "conv_offset.weight" in own:
        offsets = _conv(_under(own, "conv_offset"), x, padding=0)
    else:  # the light network's taps stay where they are
        offsets = torch.zeros((), dtype=x.dtype).expand(len(x), 18, *x.shape[2:])
    return _group_norm(_under(own, "gn5"), _deformable(own["dcn.weight"], x, offsets)).relu()


def _box_attention(weights: Weights, embeddings: Tensor, memory: Tensor, heads: int) -> Tensor:
    dim, height, width = memory.shape
    q = _linear(_under(weights, "q_linear"), embeddings)
    k = _linear(_under(weights, "k_linear"), memory.flatten(1).T)
    scores = []
    for head in range(heads):
        own = slice(head * dim // heads, (head + 1) * dim // heads)
        scores.append(q[:, own] @ k[:, own].T * (dim / heads) ** -0.5)
    maps = torch.stack(scores, dim=1)
    return maps.flatten(1).softmax(-1).reshape(-1, heads, height, width)


def _deformable(weight: Tensor, x: Tensor, offsets: Tensor) -> Tensor:
    """Sum over the taps of what lies at the tap's moved place, bilinear, zero outside."""
    _, _, height, width = x.shape
    rows = torch.arange(height, dtype=x.dtype)[:, None]
    columns = torch.arange(width, dtype=x.dtype)
    total = torch.zeros(())
    for tap in range(9):
        y = rows + tap // 3 - 1 + offsets[:, 2 * tap]
        x_place = columns + tap % 3 - 1 + offsets[:, 2 * tap + 1]
        sampled = _bilinear(x, y, x_place)
        total = total + torch.einsum("oc,nchw->nohw", weight[:, :, tap // 3, tap % 3], sampled)
    return total


def _bilinear(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    count, channels, height, width = image.shape
    total = torch.zeros_like(image)
    for row_step in (0, 1):
        for column_step in (0, 1):
            row, column = y.floor() + row_step, x.floor() + column_step
            share = (1 - (y - row).abs()) * (1 - (x - column).abs())
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
            index = place.long().reshape(count, 1, -1).expand(-1, channels, -1)
            values = image.flatten(2).gather(2, index).reshape(image.shape)
            total = total + values * (share * inside)[:, None]
    return total


def _instance_head(weights: Weights, slot_features: Tensor) -> Tensor:
    """Mask logits [T, h, w] of one slot's [T, C, h, w] features."""
    x = slot_features.permute(1, 0, 2, 3)[None]
    for conv, norm in ((0, 1), (3, 4), (6, 7)):
        own = _under(weights, str(conv))
        x = F.conv3d(x, own["weight"], own["bias"], padding=2, dilation=2)
        x = _group_norm(_under(weights, str(norm)), x, groups=4).relu()
    last = _under(weights, "9")
    return F.conv3d(x, last["weight"], last["bias"])[0, 0]


def _linear(weights: Weights, tokens: Tensor) -> Tensor:
    return tokens @ weights["weight"].T + weights["bias"]


def _conv(weights: Weights, x: Tensor, padding: int = 1) -> Tensor:
    return F.conv2d(x, weights["weight"], weights["bias"], padding=padding)


def _norm(weights: Weights, tokens: Tensor) -> Tensor:
    centred = tokens - tokens.mean(-1, keepdim=True)
    scale = (centred.square().mean(-1, keepdim=True) + 1e-5).rsqrt()
    return centred * scale * weights["weight"] + weights["bias"]


def _group_norm(weights: Weights, x: Tensor, groups: int = 8) -> Tensor:
    groups = math.gcd(groups, x.shape[1])  # narrower heads than the published have fewer groups
    return F.group_norm(x, groups, weights["weight"], weights["bias"])
