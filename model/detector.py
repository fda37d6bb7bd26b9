"""The part of VisTR that finds instances and their boxes, without masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.architecture import Architecture
from model.backbone import build_backbone
from model.transformer import Transformer


class BoxHead(nn.Module):
    """A perceptron of three layers from embeddings to boxes, before the sigmoid."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList((nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, 4)))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Box logits [..., 4] of embeddings [..., D], in single precision at least.

        In bfloat16 a box would be off by some pixels of a large frame.
        """
        first, second, last = self.layers
        hidden = F.relu(second(F.relu(first(embeddings))))
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        weight, bias = (parameter.to(dtype) for parameter in last.parameters())
        return F.linear(hidden.to(dtype), weight, bias)


class Detector(nn.Module):
    """The parts of the network that do not make masks; a holder of parameters.

    Args:
        architecture: Widths and counts.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        dim = architecture.hidden_dim
        backbone = build_backbone(architecture.backbone, dilation=architecture.dilation)
        # A list of one, because the published keys say `backbone.0`.
        self.backbone = nn.ModuleList([backbone])
        self.input_proj = nn.Conv2d(architecture.backbone_channels[-1], dim, 1)
        self.transformer = Transformer(architecture)
        self.query_embed = nn.Embedding(architecture.queries, dim)
        self.class_embed = nn.Linear(dim, architecture.num_classes + 1)
        self.bbox_embed = BoxHead(dim)
