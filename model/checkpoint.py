"""Loading and saving VisTR."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from model.errors import CheckpointError, check_memory
from model.stored import StoredWeights, read_weights
from model.stored_architecture import agreed, read_architecture
from model.vistr import VisTR

DEFAULT_WEIGHTS = Path(__file__).parent / "weights" / "default.safetensors"
"""The small default: a light network, for demonstration; ``weights/README.md`` says more."""


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
        CheckpointError: The weights cannot be read, are not a VisTR's, or contradict a request; or
            a request is no whole number, or no names of categories.
    """
    frames, slots = _whole("frames", frames), _whole("slots", slots)
    url = re.match(r"([A-Za-z][\w+.-]+):/", str(path))  # of whose two slashes a Path leaves one
    if url and not Path(str(path)).exists():
        # Nothing more of it: there may be a password.
        raise CheckpointError(f"weights are at a URL ({url[1]}://…), expected a file")
    stored = read_weights(DEFAULT_WEIGHTS if path is None else Path(path))
    architecture = read_architecture(stored, frames, slots)
    if backbone not in (None, architecture.backbone):
        raise CheckpointError(
            f"{stored.name}: backbone is {architecture.backbone}, as its tensors show, "
            f"not {backbone} as asked for"
        )
    names = agreed(stored, "categories", _names(categories), stored.categories)
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
        path: File to write, ending in ``.safetensors``. A link stays: what it leads to is replaced.

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
    target = Path(os.path.realpath(path))  # `save_file` would replace a link
    target.touch()
    mode = target.stat().st_mode  # any file's, while `save_file` lets its owner alone read
    try:
        save_file(tensors, target, {key: json.dumps(value) for key, value in metadata.items()})
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written: {error}") from error
    target.chmod(mode)


def _checked(stored: StoredWeights, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Exactly the expected tensors, in float32, each with numbers that it can have."""
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
        # A tensor may repeat what it stores: a small file, and any number of rows.
        count, stored = tensor.numel(), tensor.untyped_storage().nbytes() // tensor.element_size()
        if stored < count:
            raise CheckpointError(
                f"{name}: key {key!r} has {count} numbers, of which {stored} "
                f"{'is' if stored == 1 else 'are'} stored"
            )
        exact = tensor.to(torch.float32)
        is_finite = bool(exact.isfinite().all())
    except (RuntimeError, TypeError, MemoryError) as error:
        check_memory(name, error)
        # Else: sparse, without data, or of a type that has no sums.
        raise CheckpointError(f"{name}: key {key!r} is no tensor of numbers in memory") from error
    if not is_finite:
        raise CheckpointError(f"{name}: key {key!r} has NaN or infinite values in float32")
    if key.endswith(".running_var") and bool((exact < 0).any()):
        raise CheckpointError(f"{name}: key {key!r} has values below 0, as no variance has")
    return exact


def _whole(name: str, value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
        raise CheckpointError(f"{name} is {value!r}, expected a whole number")
    return None if value is None else int(value)


def _names(categories: Sequence[str] | str | Path | None) -> tuple[str, ...] | None:
    if categories is None:
        return None
    if not isinstance(categories, str | Path):
        return tuple(categories)
    name = f"categories file {str(categories)!r}"
    try:
        lines = Path(categories).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{name}: not UTF-8 text") from error
    except (OSError, ValueError) as error:  # the latter: no name that a file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointError(f"{name}: {reason}") from error
    return tuple(line.strip() for line in lines if line.strip())
