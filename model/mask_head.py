"""From slot embeddings to masks: box attention, the 2-D head per frame, the 3-D head per slot.

Source: VisTR's ``models/segmentation.py``, of which this is an exact rewrite: the published loops
run over frames with all slots, here frames and slots are one batch, cut where memory asks for it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.architecture import Architecture
from model.deformable import DeformableConv
from model.group_norm import GroupNorm

CHUNK_PIXELS, CHUNK_PIXELS_CUDA = 2**17, 2**19
"""Stride-4 pixels, over frames and slots, that pass through the 2-D head at once.

They bound its memory: on CUDA the deformable convolution takes some 1.2 kB for each at D 384 where
its kernel cannot be compiled, half a GB for a slot's 36 frames of 300 by 540 pixels. With fewer,
kernels would leave the device idle.
"""

INSTANCE_CHANNELS = 12
"""Width of the 3-D head."""


def chunk_pixels(device: torch.device) -> int:
    """`CHUNK_PIXELS` of a device."""
    return CHUNK_PIXELS_CUDA if device.type == "cuda" else CHUNK_PIXELS


class BoxAttention(nn.Module):
    """Where in its frame a slot looks: attention maps, not applied to values.

    Args:
        dim: Width D of embeddings and memory.
        heads: Maps per slot.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_linear = nn.Linear(dim, dim)
        self.k_linear = nn.Linear(dim, dim)

    def forward(self, embeddings: Tensor, memory: Tensor) -> Tensor:
        """Attention maps [T, S, heads, h, w], summing to 1 over heads, h and w.

        Args:
            embeddings: [T, S, D].
            memory: [T, D, h, w].
        """
        height, width = memory.shape[-2:]
        frames, slots, _ = embeddings.shape
        q = self.q_linear(embeddings).view(frames, slots, self.heads, -1)
        k = self.k_linear(memory.flatten(2).transpose(1, 2)).view(
            frames, height * width, self.heads, -1
        )
        scores = torch.einsum("tshc,tnhc->tshn", q * q.shape[-1] ** -0.5, k)
        return scores.flatten(2).softmax(-1).view(frames, slots, self.heads, height, width)


class MaskHead(nn.Module):
    """The 2-D head: a feature pyramid for each slot in each frame.

    Args:
        architecture: Gives D, the heads and the backbone's channels.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.hidden_dim = architecture.hidden_dim
        full = architecture.hidden_dim + architecture.heads
        half, quarter, eighth, sixteenth = (architecture.hidden_dim >> n for n in range(1, 5))
        stride4, stride8, stride16, _ = architecture.backbone_channels
        self.lay1 = nn.Conv2d(full, full, 3, padding=1)
        self.gn1 = _group_norm(full)
        self.lay2 = nn.Conv2d(full, half, 3, padding=1)
        self.gn2 = _group_norm(half)
        self.lay3 = nn.Conv2d(half, quarter, 3, padding=1)
        self.gn3 = _group_norm(quarter)
        self.lay4 = nn.Conv2d(quarter, eighth, 3, padding=1)
        self.gn4 = _group_norm(eighth)
        self.gn5 = _group_norm(sixteenth)
        self.deformable = architecture.deformable
        if self.deformable:
            # Two offsets for each of the 3×3 taps.
            self.conv_offset = nn.Conv2d(eighth, 18, 1)
            self.dcn: nn.Module = DeformableConv(eighth, sixteenth)
        else:
            self.dcn = nn.Conv2d(eighth, sixteenth, 3, padding=1, bias=False)
        self.adapter1 = nn.Conv2d(stride16, half, 1)
        self.adapter2 = nn.Conv2d(stride8, quarter, 1)
        self.adapter3 = nn.Conv2d(stride4, eighth, 1)

    def adapt(self, stride16: Tensor, stride8: Tensor, stride4: Tensor) -> tuple[Tensor, ...]:
        """Backbone levels [n, C, h, w] brought to the head's widths; per frame, for all slots."""
        return self.adapter1(stride16), self.adapter2(stride8), self.adapter3(stride4)

    def context(self, memory: Tensor) -> Tensor:
        """What the first layer makes of [T, D, h, w] memory, the same for all slots.

        The published layer sees memory and attention maps as one tensor; a convolution of two
        stacked inputs is the sum of two convolutions, and this one is done once per frame.
        """
        return F.conv2d(memory, self.lay1.weight[:, : self.hidden_dim], self.lay1.bias, padding=1)

    def forward(self, context: Tensor, attention: Tensor, adapted: tuple[Tensor, ...]) -> Tensor:
        """Features of each slot in each frame.

        Args:
            context: [T, D + heads, h, w], of `context`.
            attention: [T, S, heads, h, w].
            adapted: Three [T, C, h, w] at strides 16, 8 and 4, of `adapt`.

        Returns:
            [T, S, D / 16, h4, w4].
        """
        slots = attention.shape[1]
        pixels = slots * adapted[2].shape[2] * adapted[2].shape[3]
        most = max(1, chunk_pixels(context.device) // pixels)
        chunks = zip(*(torch.split(x, most) for x in (context, attention, *adapted)), strict=True)
        parts = [self._pyramid(first, maps, *levels) for first, maps, *levels in chunks]
        flat = torch.cat(parts) if len(parts) > 1 else parts[0]
        return flat.view(len(context), slots, *flat.shape[1:])

    def _pyramid(
        self, context: Tensor, attention: Tensor, level1: Tensor, level2: Tensor, level3: Tensor
    ) -> Tensor:
        # Everything is [frames * slots, C, h, w] from here on.
        own = self.lay1.weight[:, self.hidden_dim :]
        x = _add(F.conv2d(attention.flatten(0, 1), own, padding=1), context)
        x = self.lay2(F.relu(self.gn1(x), inplace=True))
        x = _merge(F.relu(self.gn2(x), inplace=True), level1)
        x = _merge(F.relu(self.gn3(self.lay3(x)), inplace=True), level2)
        x = _merge(F.relu(self.gn4(self.lay4(x)), inplace=True), level3)
        x = self.dcn(x, self.conv_offset(x)) if self.deformable else self.dcn(x)
        return F.relu(self.gn5(x), inplace=True)


def build_instance_head(inputs: int) -> nn.Sequential:
    """The 3-D head: [S, inputs, T, h, w] to mask logits [S, 1, T, h, w].

    Its group norms span the whole window, so no frame can be left out.
    """
    layers: list[nn.Module] = []
    for channels in (inputs, INSTANCE_CHANNELS, INSTANCE_CHANNELS):
        layers += [
            nn.Conv3d(channels, INSTANCE_CHANNELS, 3, padding=2, dilation=2),
            GroupNorm(4, INSTANCE_CHANNELS),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.Conv3d(INSTANCE_CHANNELS, 1, 1))


def _group_norm(channels: int) -> GroupNorm:
    # 8 groups as published, fewer where 8 does not divide a narrower head.
    return GroupNorm(math.gcd(8, channels), channels)


def _add(x: Tensor, shared: Tensor) -> Tensor:
    # [frames * slots, C, h, w] plus what the slots of a frame share, [frames, C, h, w].
    return (x.view(len(shared), -1, *x.shape[1:]) + shared[:, None]).flatten(0, 1)


def _merge(x: Tensor, level: Tensor) -> Tensor:
    return _add(F.interpolate(x, size=level.shape[-2:], mode="nearest"), level)
