"""The architecture of stored weights: what their tensors show, and what their file says."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from torch import Tensor

from model.architecture import RESNET50, Architecture
from model.errors import CheckpointError
from model.stored import StoredWeights

T = TypeVar("T")

log = logging.getLogger(__name__)

# (blocks in the third stage, whether blocks are bottlenecks); the other stages are then known.
_RESNETS = {
    (2, False): "resnet18",
    (6, False): "resnet34",
    (6, True): "resnet50",
    (23, True): "resnet101",
}


def read_architecture(stored: StoredWeights, frames: int | None, slots: int | None) -> Architecture:
    """What network a file's weights are of.

    Args:
        stored: The file.
        frames: Frames in a window, where the reader says; else the file's, or 36.
        slots: Instance slots, where the reader says; else the file's, or the queries over the
            frames.

    Raises:
        CheckpointError: The weights are not a VisTR's, or contradict a request.
    """
    rows, hidden_dim = _shape(stored, "vistr.query_embed.weight", 2)
    frames, slots = _window(
        stored,
        rows,
        agreed(stored, "frames", frames, stored.frames),
        agreed(stored, "slots", slots, stored.slots),
    )
    layers = "vistr.transformer.{}.layers."
    build = partial(
        Architecture,
        backbone=_backbone(stored),
        hidden_dim=hidden_dim,
        # The mask head's first layer sees the memory and one attention map per head.
        heads=_shape(stored, "mask_head.lay1.weight", 4)[1] - hidden_dim,
        ffn_dim=_shape(stored, layers.format("encoder") + "0.linear1.weight", 2)[0],
        encoder_layers=_count(stored.tensors, layers.format("encoder")),
        decoder_layers=_count(stored.tensors, layers.format("decoder")),
        num_classes=_shape(stored, "vistr.class_embed.weight", 2)[0] - 1,
        frames=frames,
        slots=slots,
        dilation=stored.dilation,
        deformable="mask_head.conv_offset.weight" in stored.tensors,
        short_side=stored.short_side or RESNET50.short_side,
    )
    try:
        return build()
    except ValueError as error:
        raise CheckpointError(f"{stored.name}: {error}") from error


def agreed(stored: StoredWeights, name: str, asked: T | None, said: T | None) -> T | None:
    """What a file and its reader say of something, where they agree or one says nothing.

    Args:
        stored: The file.
        name: What it is.
        asked: What the reader says.
        said: What the file says.

    Raises:
        CheckpointError: They contradict each other.
    """
    if asked is not None and said is not None and asked != said:
        raise CheckpointError(
            f"{stored.name}: {name} is {said!s:.80} in the weights, not {asked!s:.80}"
        )
    return said if asked is None else asked


def _window(
    stored: StoredWeights, rows: int, frames: int | None, slots: int | None
) -> tuple[int, int]:
    """Frames and slots that fill the query embedding's rows."""
    if stored.queries not in (None, rows):
        raise CheckpointError(
            f"{stored.name}: key 'vistr.query_embed.weight' has {rows} rows, "
            f"expected {stored.queries} as args.num_queries says"
        )
    is_asked = stored.frames is None and stored.slots is None and (frames or slots) is not None
    if frames is None:
        frames = rows // slots if slots and not rows % slots else RESNET50.frames
    if slots is None and frames > 0 and not rows % frames:
        slots = rows // frames
    if slots is None or frames < 1 or frames * slots != rows:
        raise CheckpointError(
            f"{stored.name}: key 'vistr.query_embed.weight' has {rows} rows, expected frames "
            f"times slots, not {frames} times {'a whole number' if slots is None else slots}"
        )
    if is_asked and frames != RESNET50.frames:
        log.warning(
            "%s: does not say what its %d queries are; taken for %d frames of %d slots, as asked "
            "for (the published weights have %d frames)",
            *(stored.name, rows, frames, slots, RESNET50.frames),
        )
    return frames, slots


def _backbone(stored: StoredWeights) -> str:
    prefix = "vistr.backbone.0.body."
    if prefix + "17.conv.0.0.weight" in stored.tensors:
        return "mobilenet_v2"
    blocks = _count(stored.tensors, prefix + "layer3.")
    bottleneck = prefix + "layer3.0.conv3.weight" in stored.tensors
    if (blocks, bottleneck) not in _RESNETS:
        kind = "bottlenecks" if bottleneck else "plain blocks"
        raise CheckpointError(
            f"{stored.name}: unknown backbone with {blocks} {kind} under '{prefix}layer3.'; "
            f"known: {', '.join(_RESNETS.values())}, mobilenet_v2"
        )
    return _RESNETS[blocks, bottleneck]


def _count(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """How many different numbers follow `prefix` in the keys."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({match[1] for key in tensors if (match := pattern.match(key))})


def _shape(stored: StoredWeights, key: str, rank: int) -> tuple[int, ...]:
    tensor = stored.tensors.get(key)
    if tensor is None:
        raise CheckpointError(f"{stored.name}: key {key!r} is missing, expected a VisTR's weights")
    if not isinstance(tensor, Tensor) or tensor.ndim != rank:
        raise CheckpointError(f"{stored.name}: key {key!r} is no tensor with {rank} dimensions")
    return tuple(tensor.shape)
