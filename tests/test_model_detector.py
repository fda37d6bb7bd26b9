from __future__ import annotations

import torch

from model.detector import BoxHead


def test_boxes_are_not_rounded_to_half_precision() -> None:
    head = BoxHead(48).bfloat16()
    embeddings = torch.randn(7, 48).bfloat16()
    first, second, last = head.layers
    hidden = second(first(embeddings).relu()).relu().double()
    weight, bias = (parameter.double() for parameter in last.parameters())
    assert torch.allclose(head(embeddings).double(), hidden @ weight.T + bias, atol=1e-5)
    assert head(embeddings).dtype == torch.float32
