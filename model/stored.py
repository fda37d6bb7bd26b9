"""Reading weight files: the tensors, and what the file says about them."""

from __future__ import annotations

import json
import pickle
import re
import threading
import warnings
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.errors import CheckpointError, check_memory

_unpickling = threading.Lock()
"""What PyTorch may load and what it warns of are settings of the whole process."""

_NAMESPACE = (Namespace, "argparse.Namespace")
"""As a pair, or a program that allows it by itself would lose that, or take it from here."""

_PLACE = re.compile(r"^\[enforce fail at [^\]]*\][ .]*")
"""Of a check in PyTorch's source, before what was wrong."""

PARALLEL = "module."
"""What `torch.nn.DataParallel` puts before every key."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredWeights:
    """Weights as a file holds them; None where it says nothing.

    Attributes:
        name: What error messages call them: the path.
        tensors: By state-dict key.
        frames: Frames T in a window.
        slots: Instance slots K.
        queries: T·K.
        dilation: Whether the last backbone stage is dilated.
        short_side: Shorter side of the input in pixels.
        categories: Names of the category ids from 1 on.
        trained: Whether the weights were trained.
        facts: What else is known of them, such as what they were trained on.
    """

    name: str
    tensors: dict[str, Tensor]
    frames: int | None = None
    slots: int | None = None
    queries: int | None = None
    dilation: bool = False
    short_side: int | None = None
    categories: tuple[str, ...] | None = None
    trained: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_weights(path: Path) -> StoredWeights:
    """Read a ``.safetensors`` file, or a ``torch.save`` file with the weights under ``model``.

    Raises:
        CheckpointError: There is no such file, it cannot be read, is damaged or not a checkpoint,
            or would run code.
    """
    try:
        is_there, is_file = path.exists(), path.is_file()
        is_empty = is_file and path.stat().st_size == 0
        if is_file:
            path.open("rb").close()  # the readers below would call a refusal damage
    except OSError as error:  # a name too long, a folder that may not be entered
        raise CheckpointError(f"{path}: {error.strerror}") from error
    if not is_there:
        raise CheckpointError(f"{path}: no such file")
    if not is_file:
        raise CheckpointError(f"{path}: is not a file, expected a .pth or .safetensors checkpoint")
    if is_empty:
        raise CheckpointError(f"{path}: is empty, expected a .pth or .safetensors checkpoint")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)


def _read_safetensors(path: Path) -> StoredWeights:
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            # Copies: what it gives is a mapping of the file, and would change with it.
            tensors = {key: stored.get_tensor(key).clone() for key in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, MemoryError) as error:
        check_memory(path, error)
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path}: truncated, damaged or not a safetensors file ({reason})"
        ) from error
    said: dict[str, Any] = {}
    for key in ("frames", "slots", "short_side"):
        said[key] = _metadata(path, metadata, key, "a positive integer", _is_count)
    said["dilation"] = _metadata(path, metadata, "dilation", "true or false", _is_bool) or False
    said["trained"] = _metadata(path, metadata, "trained", "true or false", _is_bool) is not False
    names = _metadata(path, metadata, "categories", "a JSON list of names", _is_names)
    said["categories"] = None if names is None else tuple(names)
    said["facts"] = _metadata(path, metadata, "facts", "a JSON object", _is_object) or {}
    return StoredWeights(str(path), tensors, **said)


def _metadata(
    path: Path,
    metadata: Mapping[str, str],
    key: str,
    expected: str,
    fits: Callable[[object], bool],
) -> Any:
    """The JSON value of a metadata entry, or None where it is absent."""
    if key not in metadata:
        return None
    try:
        value = json.loads(metadata[key])
    except (ValueError, RecursionError):
        value = None
    if not fits(value):
        raise CheckpointError(
            f"{path}: metadata {key!r} is {metadata[key][:80]!r}, expected {expected}"
        )
    return value


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _read_torch(path: Path) -> StoredWeights:
    content = read_pickled(path)
    if isinstance(content, Mapping) and "trainee" in content:
        raise CheckpointError(
            f"{path}: is the checkpoint of a training run; `python -m training.ship` makes weights "
            "of it"
        )
    if not isinstance(content, Mapping) or not isinstance(content.get("model"), Mapping):
        found = ", ".join(map(repr, content))[:80] if isinstance(content, Mapping) else ""
        raise CheckpointError(
            f"{path}: holds {type(content).__name__} ({found or 'no keys'}), expected a dict with "
            "the weights under 'model'"
        )
    odd = next((key for key in content["model"] if not isinstance(key, str)), None)
    if odd is not None:
        raise CheckpointError(f"{path}: 'model' has the key {_shown(odd)}, expected names")
    arguments = content.get("args")
    arguments = vars(arguments) if isinstance(arguments, Namespace) else arguments
    if not isinstance(arguments, Mapping | None):
        raise CheckpointError(f"{path}: 'args' is {type(arguments).__name__}, expected a Namespace")
    tensors = dict(content["model"])
    if all(key.startswith(PARALLEL) for key in tensors):
        tensors = {key.removeprefix(PARALLEL): tensor for key, tensor in tensors.items()}
    return StoredWeights(str(path), tensors, **_said(path, arguments or {}))


def _said(path: Path, arguments: Mapping[Any, Any]) -> dict[str, Any]:
    """What the arguments of the published code say of the network."""
    if _is_on(path, arguments, "pre_norm"):
        raise CheckpointError(f"{path}: args.pre_norm is on; only post-norm weights are supported")
    embedding = arguments.get("position_embedding", "sine")
    if embedding not in ("sine", "v2"):  # two names of the same
        raise CheckpointError(
            f"{path}: args.position_embedding is {_shown(embedding)}, expected 'sine'"
        )
    for key in ("num_frames", "num_queries"):
        if key in arguments and not _is_count(arguments[key]):
            raise CheckpointError(
                f"{path}: args.{key} is {_shown(arguments[key])}, expected a positive integer"
            )
    return {
        "frames": arguments.get("num_frames"),
        "queries": arguments.get("num_queries"),
        "dilation": _is_on(path, arguments, "dilation"),
    }


def _is_on(path: Path, arguments: Mapping[Any, Any], key: str) -> bool:
    value = arguments.get(key)
    if value is not None and not (isinstance(value, int) and value in (0, 1)):
        raise CheckpointError(f"{path}: args.{key} is {_shown(value)}, expected True or False")
    return bool(value)


def _shown(value: object) -> str:
    return " ".join(repr(value).split())[:80]


def read_pickled(path: Path) -> Any:
    """What `torch.save` wrote, on the CPU, without running any code that it may hold.

    An `argparse.Namespace`, which the published weights hold, is allowed.

    Raises:
        CheckpointError: It cannot be read, is damaged or something else, or would run code.
    """
    allowed = torch.serialization.safe_globals([_NAMESPACE])
    try:
        with _unpickling, allowed, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        refused = re.search(r"(?:GLOBAL|Unsupported class:) (\S+)", str(error))
        reason = (
            f"holds {refused[1]}, which may run code; expected tensors, numbers, text and an "
            "argparse.Namespace"
            if refused
            else "not a checkpoint, or damaged; expected what torch.save writes, or safetensors "
            "with that ending"
        )
        raise CheckpointError(f"{path}: {reason}") from error
    except Exception as error:  # a damaged file can fail anywhere within torch.load
        check_memory(path, error)
        said = _PLACE.sub("", (str(error).splitlines() or [""])[0]).split(". ")[0].strip()
        reason = ": ".join(filter(None, (type(error).__name__, said)))
        raise CheckpointError(
            f"{path}: truncated, damaged or not a checkpoint ({reason})"
        ) from error
