"""Loading and saving VisTR."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from model.architecture import RESNET50, Architecture
from model.errors import CheckpointError
from model.stored import StoredWeights, read_weights
from model.vistr import VisTR

T = TypeVar("T")

log = logging.getLogger(__name__)

DEFAULT_WEIGHTS = Path(__file__).parent / "weights" / "default.safetensors"
"""The small default: a light network, for demonstration; ``weights/README.md`` says more."""

# (blocks in the third stage, whether blocks are bottlenecks); the other stages are then known.
_RESNETS = {
    (2, False): "resnet18",
    (6, False): "resnet34",
    (6, True): "resnet50",
    (23, True): "resnet101",
}


def load_vistr(
    path: str | Path | None = None,
    *,
    frames: int | None = None,
    slots: int | None = None,
    backbone: str | None = None,
    categories: Sequence[str] | str | Path | None = None,
) -> VisTR:
    """Build the network that a file of weights describes.

    What the file says, in its tensors, its pickled arguments or its metadata, is taken from it.
    The arguments fill what it leaves open, and must agree with it in the rest.

    Args:
        path: The published ``.pth`` format (a dict with the weights under ``model``) or
            safetensors. None: the small default that ships with the package.
        frames: Frames in a window; 36 where nobody says.
        slots: Instance slots; the queries over the frames where nobody says.
        backbone: Name of the backbone that is expected.
        categories: Names of the category ids from 1 on, or the path of a text file with one name a
            line.

    Returns:
        The network in eval mode, float32, on the CPU, without gradients.

    Raises:
        CheckpointError: The weights cannot be read, are not a VisTR's, or contradict a request.
    """
    stored = read_weights(DEFAULT_WEIGHTS if path is None else Path(path))
    architecture = _architecture(stored, frames, slots)
    if backbone not in (None, architecture.backbone):
        raise CheckpointError(
            f"{stored.name}: backbone is {architecture.backbone}, as its tensors show, "
            f"not {backbone} as asked for"
        )
    names = _agreed(stored, "categories", _names(categories), stored.categories)
    try:
        with torch.device("meta"):  # no memory and no random numbers for what gets replaced
            net = VisTR(architecture, names, trained=stored.trained)
            net.facts = stored.facts
    except ValueError as error:
        raise CheckpointError(f"{stored.name}: {error}") from error
    tensors = _checked(stored, net.state_dict())
    net.load_state_dict(tensors, assign=True)
    return net.eval().requires_grad_(False)


def save_vistr(net: VisTR, path: str | Path) -> None:
    """Write a network to a safetensors file that `load_vistr` reads without further arguments.

    Args:
        net: Any precision, which is the file's, any device.
        path: File to write, ending in ``.safetensors``.

    Raises:
        ValueError: `path` has another ending, or batch norms of the network are folded.
        OSError: The file cannot be written.
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"path is {str(path)!r}, expected a name ending in .safetensors")
    with torch.device("meta"):
        loaded = VisTR(net.architecture)
    if net.state_dict().keys() != loaded.state_dict().keys():
        raise ValueError("the network's batch norms are folded; save it before that")
    metadata = {
        "frames": net.frames,
        "slots": net.slots,
        "short_side": net.short_side,
        "dilation": net.architecture.dilation,
        "trained": net.trained,
        "categories": net.categories[1:],
        "facts": dict(net.facts),
    }
    tensors = {key: tensor.contiguous() for key, tensor in net.state_dict().items()}
    Path(path).touch()
    mode = Path(path).stat().st_mode  # any file's, while `save_file` lets its owner alone read
    try:
        save_file(tensors, path, {key: json.dumps(value) for key, value in metadata.items()})
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written: {error}") from error
    Path(path).chmod(mode)


def _architecture(stored: StoredWeights, frames: int | None, slots: int | None) -> Architecture:
    rows, hidden_dim = _shape(stored, "vistr.query_embed.weight", 2)
    frames, slots = _window(
        stored,
        rows,
        _agreed(stored, "frames", frames, stored.frames),
        _agreed(stored, "slots", slots, stored.slots),
    )
    layers = "vistr.transformer.{}.layers."
    try:
        return Architecture(
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
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{stored.name}: {error}") from error


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


def _agreed(stored: StoredWeights, name: str, asked: T | None, said: T | None) -> T | None:
    if asked is not None and said is not None and asked != said:
        raise CheckpointError(f"{stored.name}: {name} is {said} in the weights, not {asked}")
    return said if asked is None else asked


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


def _checked(stored: StoredWeights, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Exactly the expected tensors, in float32."""
    # Batch norm's step counter is no weight: frozen statistics have none.
    found = {k: v for k, v in stored.tensors.items() if not k.endswith(".num_batches_tracked")}
    for key in [*expected, *found]:
        shape = list(expected[key].shape) if key in expected else None
        if shape is None:
            raise CheckpointError(f"{stored.name}: key {key!r} is not part of this network")
        if key not in found:
            raise CheckpointError(f"{stored.name}: key {key!r} is missing, expected {shape}")
        tensor = found[key]
        if not (isinstance(tensor, Tensor) and tensor.is_floating_point()):
            raise CheckpointError(f"{stored.name}: key {key!r} is no floating-point tensor")
        if list(tensor.shape) != shape:
            raise CheckpointError(
                f"{stored.name}: key {key!r} has shape {list(tensor.shape)}, expected {shape}"
            )
    return {key: _as_float32(stored.name, key, found[key]) for key in expected}


def _as_float32(name: str, key: str, tensor: Tensor) -> Tensor:
    try:
        exact = tensor.to(torch.float32)
        is_finite = bool(exact.isfinite().all())
    except (RuntimeError, TypeError) as error:  # sparse, without data, of a type that has no sums
        raise CheckpointError(f"{name}: key {key!r} is no tensor of numbers in memory") from error
    if not is_finite:
        raise CheckpointError(f"{name}: key {key!r} has NaN or infinite values in float32")
    return exact


def _names(categories: Sequence[str] | str | Path | None) -> tuple[str, ...] | None:
    if categories is None:
        return None
    if not isinstance(categories, str | Path):
        return tuple(categories)
    try:
        lines = Path(categories).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise CheckpointError(f"categories file {categories}: {reason}") from error
    return tuple(line.strip() for line in lines if line.strip())
