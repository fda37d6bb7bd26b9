"""VisTR: video instance segmentation of a window of frames with transformers.

Source: Wang et al., End-to-End Video Instance Segmentation with Transformers, CVPR 2021. Parameter
names are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from model.architecture import Architecture
from model.categories import BACKGROUND, check_names, default_names
from model.detector import Detector
from model.features import FrameFeatures, VisTROutput, WindowState
from model.mask_head import BoxAttention, MaskHead, build_instance_head, chunk_pixels
from model.position import cached_positions


class VisTR(nn.Module):
    """The network, in three stages that can be used alone.

    `encode` works on frames, `relate` on a window of features, `segment` on the instance slots
    that are wanted; calling the module does all three. There is no dropout: training and eval mode
    are the same.

    Args:
        architecture: Widths and counts.
        categories: Names of the category ids from 1 on; YouTube-VIS 2019's where their number is
            40, else ``class_N``.
        trained: Whether the parameters were trained, for callers that warn.

    Attributes:
        categories: Names by category id, a dummy at position 0.
        facts: What the weights' file says of them beyond what the network needs, as JSON has it:
            what they were trained on, how, and what they are worth.

    Raises:
        ValueError: The number of names is not that of the categories, or one is unfit.
    """

    def __init__(
        self,
        architecture: Architecture,
        categories: Sequence[str] | None = None,
        *,
        trained: bool = False,
    ) -> None:
        super().__init__()
        count = architecture.num_classes - 1
        names = default_names(count) if categories is None else tuple(categories)
        if len(names) != count:
            raise ValueError(f"categories has {len(names)} names; the weights have {count} classes")
        check_names(names)
        self.architecture = architecture
        self.categories = (BACKGROUND, *names)
        self.trained = trained
        self.facts: Mapping[str, Any] = {}
        self.vistr = Detector(architecture)
        self.bbox_attention = BoxAttention(architecture.hidden_dim, architecture.heads)
        self.mask_head = MaskHead(architecture)
        self.insmask_head = build_instance_head(architecture.hidden_dim // 16)

    @property
    def frames(self) -> int:
        """Frames T in a window."""
        return self.architecture.frames

    @property
    def slots(self) -> int:
        """Instance slots K."""
        return self.architecture.slots

    @property
    def short_side(self) -> int:
        """Shorter side of the input that the weights expect, in pixels."""
        return self.architecture.short_side

    @property
    def dtype(self) -> torch.dtype:
        """Arithmetic of all but the backbone, which may have one of its own."""
        return self.vistr.input_proj.weight.dtype

    def forward(self, images: Tensor) -> VisTROutput:
        """Segment a window.

        Args:
            images: [T, 3, H, W], ImageNet-normalised RGB of the backbone's type and device.

        Raises:
            ValueError: `images` has another shape or type.
        """
        state = self.relate(self.encode(images))
        masks = self.segment(state, range(self.slots))
        return VisTROutput(state.logits, state.boxes, masks)

    def encode(self, images: Tensor) -> FrameFeatures:
        """Features of frames, each independent of its neighbours.

        Args:
            images: [n, 3, H, W], ImageNet-normalised RGB of the backbone's type and device.

        Raises:
            ValueError: `images` has another shape or type.
        """
        backbone = self.vistr.backbone[0]
        dtype = next(backbone.parameters()).dtype
        shape = tuple(images.shape)
        if len(shape) != 4 or shape[1] != 3 or 0 in shape or images.dtype != dtype:
            raise ValueError(f"images are {images.dtype} {shape}, expected {dtype} [n, 3, H, W]")
        levels: tuple[Tensor, ...] = backbone(images)
        stride4, stride8, stride16, stride32 = (level.to(self.dtype) for level in levels)
        return FrameFeatures(
            self.vistr.input_proj(stride32), self.mask_head.adapt(stride16, stride8, stride4)
        )

    def relate(self, features: FrameFeatures) -> WindowState:
        """Classes, boxes and embeddings of all slots in a window.

        Args:
            features: Of exactly T frames.

        Raises:
            ValueError: The number of frames is not T.
        """
        if len(features) != self.frames:
            raise ValueError(f"features are of {len(features)} frames, expected {self.frames}")
        return WindowState(*self.detect(features.projected, self.positions(features)), features)

    def positions(self, features: FrameFeatures) -> Tensor:
        """The positions [n · h · w, D] of the tokens of n frames' features, frame-major."""
        projected = features.projected
        frames, dim, height, width = projected.shape
        return cached_positions((frames, height, width), dim, projected.dtype, projected.device)

    def detect(self, projected: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The tensors of `relate`, without its checks.

        Args:
            projected: [T, D, h, w], of `FrameFeatures`.
            positions: [T · h · w, D], of `positions`.

        Returns:
            Logits, boxes, embeddings and memory, as in `WindowState`.
        """
        frames, dim, height, width = projected.shape
        tokens = projected.permute(0, 2, 3, 1).reshape(-1, dim)  # frame-major
        embeddings, memory = self.vistr.transformer(
            tokens[None], positions, self.vistr.query_embed.weight
        )
        embeddings = embeddings.view(frames, self.slots, dim)
        return (
            self.vistr.class_embed(embeddings),
            self.vistr.bbox_embed(embeddings).sigmoid(),
            embeddings,
            memory.view(frames, height, width, dim).permute(0, 3, 1, 2).contiguous(),
        )

    def segment(self, state: WindowState, slots: Sequence[int]) -> Tensor:
        """Masks of some slots; slots do not depend on each other.

        Args:
            state: Of `relate`.
            slots: Positions in [0, K), any order, may be empty.

        Returns:
            Mask logits [T, len(slots), ceil(H / 4), ceil(W / 4)].

        Raises:
            ValueError: A slot is out of range or no integer.
        """
        self.check_slots(slots)
        index = torch.tensor(slots, dtype=torch.int64, device="cpu").to(state.memory.device)
        adapted = state.features.adapted
        frames, _, height, width = adapted[-1].shape
        if not len(index):
            return adapted[-1].new_empty((frames, 0, height, width))
        context = self.mask_head.context(state.memory)
        masks = []
        most = max(1, chunk_pixels(index.device) // (frames * height * width))
        for group in torch.split(index, most):
            embeddings = state.embeddings[:, group]
            masks.append(self.mask_logits(embeddings, context, state.memory, *adapted))
        return torch.cat(masks)[:, 0].transpose(0, 1)

    def mask_logits(
        self, embeddings: Tensor, context: Tensor, memory: Tensor, *adapted: Tensor
    ) -> Tensor:
        """The tensors of `segment`, without its checks.

        Args:
            embeddings: [T, s, D], of the slots.
            context: Of `MaskHead.context`.
            memory: [T, D, h, w].
            adapted: Of `FrameFeatures`.

        Returns:
            Mask logits [s, 1, T, h4, w4].
        """
        attention = self.bbox_attention(embeddings, memory)
        slot_features = self.mask_head(context, attention, adapted)
        # [T, s, C, h, w] -> [s, C, T, h, w] -> [s, 1, T, h, w]
        masks: Tensor = self.insmask_head(slot_features.permute(1, 2, 0, 3, 4))
        return masks

    def check_slots(self, slots: Sequence[int]) -> None:
        """Raise a `ValueError` if a slot is out of range or no integer."""
        for slot in slots:
            if not isinstance(slot, Integral) or not 0 <= slot < self.slots:
                raise ValueError(
                    f"slots are {list(slots)}, expected integers from 0 to {self.slots - 1}"
                )
