from __future__ import annotations

import torch
from torch import nn

from model import Architecture
from model.transformer import Attention, Transformer


def test_attention_is_torchs_with_the_same_parameters() -> None:
    ours, theirs = Attention(48, 4), nn.MultiheadAttention(48, 4)
    nn.init.normal_(ours.in_proj_bias)
    theirs.load_state_dict(ours.state_dict())
    query, key, value = torch.randn(7, 48), torch.randn(11, 48), torch.randn(11, 48)
    expected, _ = theirs(query, key, value)
    torch.testing.assert_close(ours(query, key, value), expected, atol=1e-5, rtol=1e-5)


def test_answers_follow_their_queries_and_not_the_order_of_tokens() -> None:
    architecture = Architecture(
        hidden_dim=48, heads=4, ffn_dim=32, encoder_layers=1, decoder_layers=2
    )
    net = Transformer(architecture).double()
    tokens, positions, queries = (torch.randn(n, 48, dtype=torch.float64) for n in (9, 9, 5))
    embeddings, memory = net(tokens, positions, queries)
    order = torch.randperm(9)
    shuffled, shuffled_memory = net(tokens[order], positions[order], queries.flip(0))
    torch.testing.assert_close(shuffled.flip(0), embeddings)
    torch.testing.assert_close(shuffled_memory, memory[order])
    moved, _ = net(tokens, positions.flip(0), queries)
    assert not torch.allclose(moved, embeddings)
