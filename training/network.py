"""VisTR as it is trained: on batches of clips, with the outputs of every decoder layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model import FrameFeatures, VisTR
from model.position import sine_positions
from model.preprocess import normalise
from training.targets import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What the network says of B clips of T frames, in G groups of K slots.

    Attributes:
        logits: [L, B, G, T, K, num_classes + 1], after each of L decoder layers.
        boxes: [L, B, G, T, K, 4], cxcywh in [0, 1].
        embeddings: [B, T, K, D], the first group's after the last layer.
        memory: [B, T, D, h, w].
        features: Of the B·T frames.
    """

    logits: Tensor
    boxes: Tensor
    embeddings: Tensor
    memory: Tensor
    features: FrameFeatures


class Trainee(nn.Module):
    """A VisTR with what helps it to learn, which `export` leaves behind.

    The published network learns each of its T·K queries by itself. Here a query is the sum of its
    own row, of what its slot's queries share, and of what its frame's queries share: clips of a
    few frames, or single ones, then train all frames' queries.

    Args:
        net: The network to train; its queries are the rows of their own.
        groups: Groups of slots that learn side by side on the same clips, each by an assignment of
            its own. Only the first is kept. Source: Group DETR (Chen et al., ICCV 2023).
    """

    def __init__(self, net: VisTR, groups: int = 1) -> None:
        super().__init__()
        dim = net.architecture.hidden_dim
        self.net = net.requires_grad_(True)
        self.shared = nn.Parameter(torch.zeros(groups, net.slots, dim))
        self.moments = nn.Parameter(torch.zeros(net.frames, dim))
        told = net.architecture.num_classes + 4
        self.token_heads = nn.ModuleList(nn.Linear(dim, told) for _ in range(2))
        for parameter in self.token_heads.parameters():
            # No random numbers but those of the caller's seed; there is nothing to tell apart here.
            nn.init.zeros_(parameter)

    @property
    def groups(self) -> int:
        """Groups G."""
        return len(self.shared)

    def forward(self, batch: Batch) -> Outputs:
        """Everything but masks."""
        net = self.net
        count, frames = batch.times.shape
        images = normalise(batch.frames.flatten(0, 1), net.vistr.input_proj.weight.dtype)
        features = net.encode(images.contiguous(memory_format=torch.channels_last))
        _, dim, height, width = features.projected.shape
        # [B·T, D, h, w] -> [B, T·h·w, D]
        tokens = features.projected.permute(0, 2, 3, 1).reshape(count, -1, dim)
        table = sine_positions((net.frames, height, width), dim).to(tokens.device)
        positions = table.view(net.frames, height * width, dim)[batch.times].flatten(1, 2)
        memory = net.vistr.transformer.encoder(tokens, positions)
        stages = net.vistr.transformer.decoder.stages(
            self.queries(batch.times).flatten(0, 1).flatten(1, 2),
            memory.repeat_interleave(self.groups, 0),
            positions.repeat_interleave(self.groups, 0),
        )
        embeddings = torch.stack(stages).view(
            len(stages), count, self.groups, frames, net.slots, dim
        )
        return Outputs(
            logits=net.vistr.class_embed(embeddings),
            # At least in single precision: half of it would be off by half a pixel.
            boxes=_exact(net.vistr.bbox_embed(embeddings)).sigmoid(),
            embeddings=embeddings[-1, :, 0],
            memory=memory.view(count, frames, height, width, dim).permute(0, 1, 4, 2, 3),
            features=features,
        )

    def queries(self, times: Tensor) -> Tensor:
        """Query embeddings [B, G, T, K, D] of the places [B, T] in a full window."""
        net = self.net
        # Looked up by `embedding` and `index_select`, whose gradients add up in a fixed order: that
        # of indexing does not on the threads of a CPU.
        own = F.embedding(times, net.vistr.query_embed.weight.view(net.frames, -1))
        own = own.view(*times.shape, net.slots, -1)
        shared = self.shared[:, None] + F.embedding(times, self.moments)[:, None, :, None]
        return torch.cat((shared[:, :1] + own[:, None], shared[:, 1:]), dim=1)

    def masks(self, outputs: Outputs, clips: Tensor, slots: Tensor) -> Tensor:
        """Mask logits [M, T, h4, w4] of slots, int64 [M], of the first group in clips [M]."""
        _, frames, _, dim = outputs.embeddings.shape
        chosen = outputs.embeddings[clips, :, slots].view(-1, 1, dim)
        head = self.net.mask_head
        memory = outputs.memory.flatten(0, 1)
        of_frames = memory, head.context(memory), *outputs.features.adapted
        # [B·T, C, h, w] -> [M·T, C, h, w]
        memory, context, *adapted = (
            x.view(-1, frames, *x.shape[1:]).index_select(0, clips).flatten(0, 1) for x in of_frames
        )
        attention = self.net.bbox_attention(chosen, memory)
        pixels = head(context, attention, tuple(adapted))
        # [M·T, 1, C, h, w] -> [M, C, T, h, w]
        pixels = pixels.view(len(clips), frames, *pixels.shape[2:]).transpose(1, 2)
        for layer in self.net.insmask_head:
            pixels = _frame_by_frame(layer, pixels) if frames == 1 else layer(pixels)
        masks: Tensor = pixels[:, 0]
        return masks

    def tokens(self, outputs: Outputs) -> Tensor:
        """What each token says by itself, [2, B, T, num_classes + 4, h, w].

        Logits of the category that it shows, 0 for nothing, and of that object's box, cxcywh; once
        as the encoder gets the tokens, once as it leaves them in the memory.
        """
        projected = outputs.features.projected.view_as(outputs.memory)
        pairs = zip(self.token_heads, (projected, outputs.memory), strict=True)
        return torch.stack([head(x.movedim(2, -1)).movedim(-1, 2) for head, x in pairs])

    @torch.no_grad()
    def export(self, frames: int) -> VisTR:
        """The plain network for windows of `frames` frames, a divisor of the full window's.

        Its frames stand at the times that `window_times` says.
        """
        times = window_times(frames, self.net.frames)
        rows = self.queries(times[None].to(self.moments.device))[0, 0].flatten(0, 1)
        architecture = replace(self.net.architecture, frames=frames)
        net = VisTR(architecture, self.net.categories[1:], trained=True)
        tensors = {key: tensor.detach().clone() for key, tensor in self.net.state_dict().items()}
        net.load_state_dict(tensors | {"vistr.query_embed.weight": rows}, assign=True)
        return net.eval().requires_grad_(False)


def _frame_by_frame(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer of the 3-D head on single frames [M, C, 1, h, w]: the taps beside them see zeros."""
    if not isinstance(layer, nn.Conv3d) or layer.kernel_size[0] == 1:
        return cast("Tensor", layer(x))
    middle = layer.kernel_size[0] // 2
    weight = layer.weight[:, :, middle : middle + 1]
    return F.conv3d(x, weight, layer.bias, padding=(0, 2, 2), dilation=layer.dilation)


def _exact(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def window_times(frames: int, full: int) -> Tensor:
    """Places, int64 [frames], in a full window that a shorter window's frames take.

    Positions are divided by the window's length, so frame i of n has the position of frame
    (i + 1) · full / n - 1.

    Raises:
        ValueError: `frames` does not divide `full`.
    """
    if frames < 1 or full % frames:
        raise ValueError(f"frames is {frames}, expected a divisor of the window's {full}")
    return torch.arange(1, frames + 1) * (full // frames) - 1
