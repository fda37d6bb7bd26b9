"""The start that sees frames apart: windows of single frames' answers, and nothing lost."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from model import LIGHT, VisTR
from model.initialise import random_tensors
from tests.training_cases import random_batch
from training.network import Trainee
from training.time_code import CHANNELS, see_frames_apart

SMALL = replace(LIGHT, hidden_dim=96, heads=4, ffn_dim=48, encoder_layers=2, decoder_layers=2)


def start(*, apart: bool) -> Trainee:
    net = VisTR(SMALL)
    net.load_state_dict(random_tensors(SMALL, 0))
    net.vistr.query_embed.weight.data.zero_()
    trainee = Trainee(net)
    torch.nn.init.normal_(trainee.shared, generator=torch.Generator().manual_seed(0))
    if apart:
        see_frames_apart(trainee)
    return trainee.double()


def drift(trainee: Trainee) -> Tensor:
    """Mean change in a window's middle frame's memory when frames [T] at its end are others."""
    window = random_batch([[1]], frames=36, window=36, size=(64, 64))
    pixels = window.frames.clone()
    pixels[:, 30:] = 255 - pixels[:, 30:]
    with torch.no_grad():
        first, second = trainee(window), trainee(replace(window, frames=pixels))
    return (first.memory - second.memory)[0, 15].abs().mean()


def test_frames_far_away_do_not_matter() -> None:
    assert drift(start(apart=True)) < 0.02 * drift(start(apart=False))


def test_the_code_is_in_the_queries_and_in_no_token_or_target() -> None:
    trainee = start(apart=True)
    answers = trainee(random_batch([[1]], frames=6, window=36, size=(64, 64)))
    assert not answers.memory[:, :, :CHANNELS].any()
    times = torch.arange(36)[None]
    codes = trainee.queries(times)[0, 0, :, 0, :CHANNELS]
    own = codes @ codes.T
    assert (own.argmax(1) == times[0]).all()


def test_single_frames_do_not_notice() -> None:
    trainee = start(apart=True)
    batch = random_batch([[1]], frames=1, window=36, size=(64, 64))
    transformer = trainee.net.vistr.transformer
    looking = [layer.self_attn for layer in transformer.encoder.layers]
    looking += [layer.multihead_attn for layer in transformer.decoder.layers]
    with torch.no_grad():
        answers = trainee(batch)
        for attention in looking:
            # Without what compares times.
            for weight in attention.in_proj_weight.chunk(3)[:2]:
                weight.unflatten(0, (attention.heads, -1))[:, :CHANNELS] = 0
        without = trainee(batch)
    torch.testing.assert_close(answers.memory, without.memory)
    torch.testing.assert_close(answers.boxes, without.boxes)
