from __future__ import annotations

import torch
from torch import nn

from model import Architecture
from model.transformer import Attention, Transformer


def test_attention_is_torchs_with_the_same_parameters() -> None:
    ours, theirs = Attention(48, 4), nn.MultiheadAttention(48, 4)
    nn.init.normal_(ours.in_proj_bias)
    theirs.load_state_dict(ours.state_dict())
    query, key, value = (torch.randn(2, n, 48) for n in (7, 11, 11))
    expected, _ = theirs(*(x.transpose(0, 1) for x in (query, key, value)))
    expected = expected.transpose(0, 1)
    torch.testing.assert_close(ours(query, key, value), expected, atol=1e-5, rtol=1e-5)


def test_answers_follow_their_queries_and_not_the_order_of_tokens() -> None:
    architecture = Architecture(
        hidden_dim=48, heads=4, ffn_dim=32, encoder_layers=1, decoder_layers=2
    )
    net = Transformer(architecture).double()
    tokens = torch.randn(2, 9, 48, dtype=torch.float64)
    positions, queries = (torch.randn(n, 48, dtype=torch.float64) for n in (9, 5))
    embeddings, memory = net(tokens, positions, queries)
    order = torch.randperm(9)
    shuffled, shuffled_memory = net(tokens[:, order], positions[order], queries.flip(0))
    torch.testing.assert_close(shuffled.flip(1), embeddings)
    torch.testing.assert_close(shuffled_memory, memory[:, order])
    moved, _ = net(tokens, positions.flip(0), queries)
    assert not torch.allclose(moved, embeddings)


def test_windows_of_a_batch_do_not_see_each_other_and_the_last_stage_is_the_answer() -> None:
    architecture = Architecture(
        hidden_dim=48, heads=4, ffn_dim=32, encoder_layers=1, decoder_layers=3
    )
    net = Transformer(architecture).double()
    tokens, positions = (torch.randn(2, 9, 48, dtype=torch.float64) for _ in range(2))
    queries = torch.randn(2, 5, 48, dtype=torch.float64)
    embeddings, memory = net(tokens, positions, queries)
    alone, alone_memory = net(tokens[1:], positions[1:], queries[1:])
    torch.testing.assert_close(embeddings[1:], alone)
    torch.testing.assert_close(memory[1:], alone_memory)
    stages = net.decoder.stages(queries, memory, positions)
    assert len(stages) == 3
    torch.testing.assert_close(stages[-1], embeddings)
    assert not torch.allclose(stages[0], stages[1])
