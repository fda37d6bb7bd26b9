"""A start in which every frame of a window is seen like a frame by itself.

A network that has learned from single frames has no reason to tell times apart: shown a window, its
encoder blurs all frames into one, and no query finds its own. Learning the difference is slow,
because query and key both have to change for a gain: trial runs did not get anywhere. This start
gives it away, and does not matter to single frames.
"""

from __future__ import annotations

from typing import cast

import torch

from model.position import sine_positions
from model.transformer import Attention, DecoderLayer, EncoderLayer
from training.network import Trainee

CHANNELS = 2
"""Channels kept for time: sine and cosine of the position's longest-known wave, one a window."""

SHARPNESS = 10.0
"""Attention falls with the time between two frames by exp(SHARPNESS · (cos(2π · time) - 1)), time
in windows: three frames of 36 away to a quarter, six to less than a hundredth."""


@torch.no_grad()
def see_frames_apart(trainee: Trainee) -> None:
    """Let all heads that look at the frames' tokens prefer those of their own time.

    What the tokens and targets hold stays out of the channels kept for time, until training puts it
    there; for a trained network that is a small loss. In a window of a single frame all tokens have
    one time, so that nothing else changes.
    """
    net = trainee.net
    encoder = cast("list[EncoderLayer]", net.vistr.transformer.encoder.layers)
    decoder = cast("list[DecoderLayer]", net.vistr.transformer.decoder.layers)
    for attention in (*(e.self_attn for e in encoder), *(d.multihead_attn for d in decoder)):
        _prefer_own_time(attention)
    norms = (*(e.norm2 for e in encoder), *(d.norm1 for d in decoder))
    for affine in (net.vistr.input_proj, *norms):
        for parameter in affine.parameters():
            parameter[:CHANNELS] = 0
    waves = sine_positions((net.frames, 1, 1), net.architecture.hidden_dim)[:, :CHANNELS]
    trainee.shared[..., :CHANNELS] = 0
    trainee.moments[:, :CHANNELS] = waves.to(trainee.moments)


def _prefer_own_time(attention: Attention) -> None:
    """Give the first channels of each head of queries and keys to time, and to time alone."""
    dim = attention.in_proj_weight.shape[1]
    size = dim // attention.heads
    gain = (SHARPNESS * size**0.5) ** 0.5
    time = torch.arange(CHANNELS)
    queries_and_keys = attention.in_proj_weight.chunk(3)[:2]
    for weight, bias in zip(queries_and_keys, attention.in_proj_bias.chunk(3), strict=False):
        weight[:, :CHANNELS] = 0
        for head in range(attention.heads):
            rows = head * size + time
            weight[rows] = 0
            weight[rows, time] = gain
            bias[rows] = 0
