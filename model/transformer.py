"""The transformer that relates all tokens of a window and reads the queries' outputs off them.

Everything is post-norm with ReLU, without dropout or masks: the frames of a window have one size,
so nothing is padded. B windows of one size go through together.

Source: VisTR's ``models/transformer.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.architecture import Architecture
from model.attend import attend


class Attention(nn.Module):
    """Multi-head attention with the parameter names of ``nn.MultiheadAttention``.

    Args:
        dim: Width D of queries, keys and values.
        heads: A divisor of `dim`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention outputs [B, n, D] of queries [B, n, D] over keys and values [B, m, D]."""
        weights = self.in_proj_weight.chunk(3)
        biases = self.in_proj_bias.chunk(3)
        q, k, v = (
            self._split(F.linear(tokens, weight, bias))
            for tokens, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        output = attend(q, k, v)
        projected: Tensor = self.out_proj(output.transpose(1, 2).flatten(2))
        return projected

    def bias_only_output(self) -> Tensor:
        """The output [D] for any query where all values are zero, whatever the keys."""
        bias = self.in_proj_bias.chunk(3)[2]
        output: Tensor = self.out_proj(bias)
        return output

    def _split(self, tokens: Tensor) -> Tensor:
        # [B, n, D] -> [B, heads, n, D / heads]
        return tokens.view(*tokens.shape[:2], self.heads, -1).transpose(1, 2)


class EncoderLayer(nn.Module):
    """Self-attention over all tokens of the window, then a feed-forward layer."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        dim = architecture.hidden_dim
        self.self_attn = Attention(dim, architecture.heads)
        self.linear1 = nn.Linear(dim, architecture.ffn_dim)
        self.linear2 = nn.Linear(architecture.ffn_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """New tokens [B, n, D] from tokens [B, n, D] at positions [n, D] or [B, n, D]."""
        placed = tokens + positions
        tokens = self.norm1(tokens + self.self_attn(placed, placed, tokens))
        update = self.linear2(F.relu(self.linear1(tokens)))
        refined: Tensor = self.norm2(tokens + update)
        return refined


class DecoderLayer(nn.Module):
    """Self-attention among the queries, attention to the tokens, then a feed-forward layer."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        dim = architecture.hidden_dim
        self.self_attn = Attention(dim, architecture.heads)
        self.multihead_attn = Attention(dim, architecture.heads)
        self.linear1 = nn.Linear(dim, architecture.ffn_dim)
        self.linear2 = nn.Linear(architecture.ffn_dim, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)

    def forward(self, target: Tensor, queries: Tensor, keys: Tensor, memory: Tensor) -> Tensor:
        """One decoding step.

        Args:
            target: [B, q, D], what is known of each query so far.
            queries: [q, D] or [B, q, D], learned query embeddings.
            keys: [B, n, D] memory with the positions added.
            memory: [B, n, D] output of the encoder.

        Returns:
            The next target, [B, q, D].
        """
        placed = target + queries
        target = self.norm1(target + self.self_attn(placed, placed, target))
        return self._cross_attend(target, queries, keys, memory)

    def first_step(self, queries: Tensor, keys: Tensor, memory: Tensor) -> Tensor:
        """`forward` of a zero target, whose self-attention is the same constant for every query."""
        attended = self.norm1(self.self_attn.bias_only_output())
        target = attended.expand(len(memory), queries.shape[-2], -1)
        return self._cross_attend(target, queries, keys, memory)

    def _cross_attend(
        self, target: Tensor, queries: Tensor, keys: Tensor, memory: Tensor
    ) -> Tensor:
        """What follows self-attention: attention to the memory, and the feed-forward layer."""
        target = self.norm2(target + self.multihead_attn(target + queries, keys, memory))
        update = self.linear2(F.relu(self.linear1(target)))
        refined: Tensor = self.norm3(target + update)
        return refined


class Encoder(nn.Module):
    """A stack of encoder layers, without a norm at its end."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        count = architecture.encoder_layers
        self.layers = nn.ModuleList(EncoderLayer(architecture) for _ in range(count))

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Memory [B, n, D] from tokens [B, n, D] at positions [n, D] or [B, n, D]."""
        for layer in self.layers:
            tokens = layer(tokens, positions)
        return tokens


class Decoder(nn.Module):
    """A stack of decoder layers with a norm at its end."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        count = architecture.decoder_layers
        self.layers = nn.ModuleList(DecoderLayer(architecture) for _ in range(count))
        self.norm = nn.LayerNorm(architecture.hidden_dim)

    def forward(self, queries: Tensor, memory: Tensor, positions: Tensor) -> Tensor:
        """Embeddings [B, q, D] of the queries, as `stages` takes them."""
        *_, last = self._targets(queries, memory, positions)
        embeddings: Tensor = self.norm(last)
        return embeddings

    def stages(self, queries: Tensor, memory: Tensor, positions: Tensor) -> list[Tensor]:
        """Embeddings [B, q, D] after each layer; training judges them all.

        Args:
            queries: [q, D] or [B, q, D].
            memory: [B, n, D].
            positions: [n, D] or [B, n, D].
        """
        return [self.norm(target) for target in self._targets(queries, memory, positions)]

    def _targets(self, queries: Tensor, memory: Tensor, positions: Tensor) -> Iterator[Tensor]:
        keys = memory + positions
        target = cast(DecoderLayer, self.layers[0]).first_step(queries, keys, memory)
        yield target
        for layer in self.layers[1:]:
            target = layer(target, queries, keys, memory)
            yield target


class Transformer(nn.Module):
    """Encoder and decoder.

    Args:
        architecture: Widths and layer counts.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.encoder = Encoder(architecture)
        self.decoder = Decoder(architecture)

    def forward(self, tokens: Tensor, positions: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Relate the tokens of a window and answer the queries.

        Args:
            tokens: [B, n, D], frame-major.
            positions: [n, D] or [B, n, D].
            queries: [q, D] or [B, q, D].

        Returns:
            Embeddings [B, q, D] and memory [B, n, D].
        """
        memory = self.encoder(tokens, positions)
        return self.decoder(queries, memory, positions), memory
