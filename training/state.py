"""What a run starts from, and what it keeps to go on after an interruption."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model import LIGHT, Architecture, VisTR, load_vistr, save_vistr
from model import CheckpointError as ModelCheckpointError
from model.checkpoint import DEFAULT_WEIGHTS
from model.initialise import random_tensors
from model.stored import read_pickled
from streamer.category_check import folded
from streamer.errors import CheckpointError
from streamer.output_path import replacing
from training.network import Trainee
from training.time_code import see_frames_apart

log = logging.getLogger(__name__)

DEFAULT = Path("default")
"""To start from: the weights that ship."""

BACKBONE = "vistr.backbone.0.body."
CLASS_HEAD = "vistr.class_embed."

ATTENTION_GAIN = 100.0
"""Times that a fresh mask head weighs a slot's attention maps above the memory beside them. The
maps sum to one over all heads and tokens, and are all that it sees of a slot: without a gain, a
trial run drew nearly the same mask for all slots for its first thousand steps."""


def fresh_network(imagenet: Path, seed: int) -> Trainee:
    """A light network to train from the start.

    Args:
        imagenet: MobileNetV2 features, tensors in torchvision's order.
        seed: Of everything that ImageNet does not give.

    Raises:
        CheckpointError: The file is not that.
    """
    tensors = random_tensors(LIGHT, seed)
    # The step counters of batch norm are no part of ours, nor is the last convolution.
    pretrained = [
        tensor
        for key, tensor in read_tensors(imagenet).items()
        if not key.endswith("num_batches_tracked")
    ]
    names = [key for key in tensors if key.startswith(BACKBONE)]
    if len(pretrained) < len(names):
        raise CheckpointError(
            f"{imagenet}: {len(pretrained)} tensors, expected at least {len(names)}"
        )
    for name, tensor in zip(names, pretrained, strict=False):
        if tensor.shape != tensors[name].shape:
            raise CheckpointError(
                f"{imagenet}: the tensor for {name} has shape {list(tensor.shape)}, expected "
                f"{list(tensors[name].shape)}"
            )
        tensors[name] = tensor
    for key, tensor in tensors.items():
        if key.startswith("insmask_head") and tensor.ndim == 5:
            # Frames apart at first: of the taps in time, only the middle one.
            tensor[:, :, [t for t in range(tensor.shape[2]) if t != tensor.shape[2] // 2]] = 0
    tensors["mask_head.lay1.weight"][:, -LIGHT.heads :] *= ATTENTION_GAIN
    # What the slots differ in is shared by their queries; see `Trainee`.
    shared = tensors["vistr.query_embed.weight"][: LIGHT.slots].clone()
    tensors["vistr.query_embed.weight"].zero_()
    net = VisTR(LIGHT)
    net.load_state_dict(tensors)
    trainee = Trainee(net)
    trainee.shared.data[0] = shared
    see_frames_apart(trainee)
    return trainee


def load_trainee(start: Path) -> Trainee:
    """A network to train on: a VisTR's weights, a run's checkpoint (.pt), or ``default``.

    Raises:
        CheckpointError: The file cannot be read or is neither.
    """
    saved = read_tensors(start) if start.suffix == ".pt" else {}
    if "trainee" not in saved:
        saved.clear()  # published weights with that ending, which would be held twice
        try:
            return Trainee(load_vistr(DEFAULT_WEIGHTS if start == DEFAULT else start))
        except ModelCheckpointError as error:
            raise CheckpointError(str(error)) from error
    _check_complete(saved, start)
    net = VisTR(Architecture(**saved["architecture"]), saved["categories"], trained=True)
    trainee = Trainee(net, len(saved["trainee"]["shared"]))
    trainee.load_state_dict(saved["trainee"])
    return trainee


def with_groups(trainee: Trainee, groups: int, seed: int) -> Trainee:
    """The same with another number of groups of slots; new ones begin at random."""
    shared = trainee.shared.detach()[:groups]
    generator = torch.Generator().manual_seed(seed)
    new = torch.randn(groups - len(shared), *shared.shape[1:], generator=generator)
    trainee.shared = nn.Parameter(torch.cat((shared, new)))
    return trainee


def known_categories(own: Sequence[str], names: Sequence[str]) -> dict[int, int]:
    """Ids of `names`, from 1 on, and the ids of the same categories among a network's `own`.

    Args:
        own: The network's categories, from id 1 on; where none has a name (``class_1``, …) and
            there are as many, the ids are the same.
        names: Others.
    """
    if len(own) == len(names) and all(name == f"class_{i}" for i, name in enumerate(own, 1)):
        return {i: i for i in range(1, len(names) + 1)}
    ids = {folded(name): category_id for category_id, name in enumerate(own, 1)}
    return {i: ids[folded(name)] for i, name in enumerate(names, 1) if folded(name) in ids}


def say_new_categories(own: Sequence[str], names: Sequence[str]) -> None:
    """Warn of names that a network's own categories lack, or that it has by their ids alone."""
    known = known_categories(own, names)
    new = [name for category_id, name in enumerate(names, 1) if category_id not in known]
    if new:
        log.warning("categories that the weights do not know begin anew: %s", ", ".join(new))
    elif own[0] == "class_1" != names[0]:
        log.warning("the weights name no categories: those of the annotations count, by their ids")


def with_categories(trainee: Trainee, names: Sequence[str], seed: int) -> Trainee:
    """The same for other categories: those that it knows go on, the others begin at random."""
    net = trainee.net
    if net.categories[1:] == tuple(names):
        return trainee
    architecture = replace(net.architecture, num_classes=len(names) + 1)
    tensors, state = random_tensors(architecture, seed), net.state_dict()
    rows = known_categories(net.categories[1:], names)
    rows[0], rows[len(names) + 1] = 0, len(net.categories)  # the dummy, and no-object
    for key, tensor in state.items():
        if key.startswith(CLASS_HEAD):
            tensors[key][list(rows)] = tensor[list(rows.values())]
        else:
            tensors[key] = tensor
    renamed = VisTR(architecture, names, trained=net.trained)
    renamed.load_state_dict(tensors)
    other = Trainee(renamed, trainee.groups)
    other.shared.data[:] = trainee.shared.data
    other.moments.data[:] = trainee.moments.data
    return other


def checkpoint(
    trainee: Trainee, optimiser: torch.optim.Optimizer, step: int, short_side: int
) -> dict[str, Any]:
    """Everything that a run needs to go on, and the short side that its network will expect."""
    return {
        "step": step,
        "architecture": asdict(replace(trainee.net.architecture, short_side=short_side)),
        "categories": list(trainee.net.categories[1:]),
        "trainee": trainee.state_dict(),
        "optimiser": optimiser.state_dict(),
    }


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, on the CPU.

    Raises:
        CheckpointError: It cannot be read, or is none.
    """
    content = read_tensors(path)
    _check_complete(content, path)
    return content


def _check_complete(content: dict[str, Any], path: Path) -> None:
    missing = {"step", "architecture", "categories", "trainee", "optimiser"} - set(content)
    if missing:
        raise CheckpointError(f"{path}: not a checkpoint of a run: no {', '.join(sorted(missing))}")


def read_tensors(path: Path) -> dict[str, Any]:
    """A dict that `torch.save` wrote, without running any code that it may hold.

    Raises:
        CheckpointError: It cannot be read, or is none.
    """
    try:
        content = read_pickled(path)
    except ModelCheckpointError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds {type(content).__name__}, expected a dict")
    return content


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Replace a checkpoint, whole or not at all.

    Raises:
        SinkError: It cannot be written.
    """
    with replacing(path) as part, part.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # its writer's, after the file's; or of a device that is lost
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise OSError(str(error).partition("\n")[0]) from error


def write_network(net: VisTR, path: Path) -> None:
    """Replace a file of weights, whole or not at all.

    Raises:
        SinkError: It cannot be written.
    """
    # The part has the ending that such a file must have.
    with replacing(path, ".part" + path.suffix) as part:
        save_vistr(net, part)


def short_sided(net: VisTR, short_side: int) -> VisTR:
    """The same network, expecting inputs of another short side."""
    tensors: dict[str, Tensor] = net.state_dict()
    architecture = replace(net.architecture, short_side=short_side)
    other = VisTR(architecture, net.categories[1:], trained=net.trained)
    other.load_state_dict(tensors, assign=True)
    return other.eval().requires_grad_(False)


def tensors_sha256(net: VisTR) -> str:
    """A checksum of a network's tensors alone, in hexadecimal.

    That of its file changes with the figures that are written into it.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(f"{name} {list(tensor.shape)}".encode())
        digest.update(tensor.float().cpu().numpy().tobytes())
    return digest.hexdigest()
