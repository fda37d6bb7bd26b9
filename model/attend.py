"""Scaled dot-product attention, in blocks of scores where that is quicker than PyTorch's kernel."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK_SCORES = 2**20
"""Scores that are computed at once: 2 MB in bfloat16, which stay in the caches."""

FEW_SCORES = 2**20
"""Scores per head below which blocks are not worth it."""

PEAK_STEP = 16
"""Every 16th key is sampled to guess a query's highest score."""

MOST_EXCESS = 32
"""Largest log2 of a sum of weights before PyTorch's kernel is taken instead: the guess of the peak
was too low, and bfloat16 rounds such scores by an eighth and more, powers by a tenth."""


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) v, for each head by itself.

    Args:
        query: [B, heads, n, d].
        key: [B, heads, m, d].
        value: [B, heads, m, d].

    Returns:
        [B, heads, n, d].
    """
    pays = (
        query.device.type == "cpu"
        and query.dtype == torch.bfloat16
        and query.shape[-2] * key.shape[-2] >= FEW_SCORES
        and not torch.is_grad_enabled()
        and _products_are_quick()
    )
    if pays:
        return attend_in_blocks(query, key, value)
    # The fused kernels never hold the [heads, n, m] scores.
    return F.scaled_dot_product_attention(query, key, value)


def attend_in_blocks(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """As `attend`, by products of many rows, `BLOCK_SCORES` scores at a time.

    Scores are rounded to the arithmetic of the queries. A guess of each query's highest score is
    subtracted inside the product, by one more column each of queries and keys, so that the scores
    that matter are small and lose least to rounding; the softmax stays the same. It takes powers of
    two instead of e, of scores that are larger to match, and divides the outputs by the sums, as
    they are fewer than the scores.
    """
    queries = query.flatten(0, 1) * (query.shape[-1] ** -0.5 * math.log2(math.e))
    keys = key.flatten(0, 1)
    peaks = torch.bmm(queries, keys[:, ::PEAK_STEP].transpose(1, 2)).amax(-1, keepdim=True)
    queries = torch.cat((queries, -peaks), -1)
    keys = torch.cat((keys, torch.ones_like(keys[..., :1])), -1).transpose(1, 2).contiguous()
    values = value.flatten(0, 1).contiguous()
    outputs = query.new_empty(*queries.shape[:2], value.shape[-1])
    rows = max(1, BLOCK_SCORES // key.shape[-2])
    for q, k, v, out in zip(queries, keys, values, outputs, strict=True):
        for block, result in zip(q.split(rows), out.split(rows), strict=True):
            scores = block @ k
            torch.exp2(scores, out=scores)
            sums = scores.sum(-1, keepdim=True)
            if not (sums < 2.0**MOST_EXCESS).all():
                # With the default weights this happens nearly always in the first layer, already in
                # its first block, and in layers where few queries look at all keys.
                return F.scaled_dot_product_attention(query, key, value)
            torch.mm(scores, v, out=result).div_(sums)
    return outputs.view(query.shape)


def _products_are_quick() -> bool:
    """Whether this CPU multiplies bfloat16 by AVX-512.

    PyTorch's kernel multiplies few rows at a time there, no quicker than in float32. With AMX it
    has products of its own.
    """
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16", False)) and not found.get("amx_bf16", False)
