"""Whether a run can go on from its checkpoint, with the options that it is given now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from model import Architecture
from streamer.errors import ConfigError
from streamer.option_check import check
from streamer.output_path import open_alone_beside, writing
from training.network import Trainee
from training.run_config import TrainConfig
from training.step_log import logged_steps


def check_fits(saved: Mapping[str, Any], trainee: Trainee, config: TrainConfig) -> None:
    """See that a checkpoint is of the network that a run has, and of the parameters that learn.

    Rates, losses, steps and data may have changed, but not which of these are held out.

    Args:
        saved: The run's checkpoint.
        trainee: What `config` makes.
        config: Of the run that is to go on.

    Raises:
        ConfigError: It is not; the message names the option, its value and what the checkpoint has.
    """
    path = config.checkpoint
    _check_categories(saved["categories"], trainee.net.categories[1:], config)
    own, start = asdict(trainee.net.architecture), asdict(Architecture(**saved["architecture"]))
    # The short side is an option of the run, and may change.
    other = [name for name in own if own[name] != start[name] and name != "short_side"]
    if other:
        raise ConfigError(
            f"start is {config.start}, with {_listed(own, other)}; allowed: a network with "
            f"{_listed(start, other)}, which {path} has"
        )
    groups = len(saved["trainee"]["shared"])
    check(config.groups == groups, "groups", config.groups, f"{groups}, which {path} has")
    backbone, _ = saved["optimiser"]["param_groups"]
    learned = bool(backbone["params"])
    allowed = f"{'above 0' if learned else '0'}, as {path} has been trained so far"
    fits = bool(config.backbone_rate) == learned
    check(fits, "backbone_rate", config.backbone_rate, allowed)
    # None of clips that are composed, and of a run from before it was kept.
    every, now = saved.get("val_every"), config.data.held_out_every
    allowed = (
        f"{every}, by which {path} has been trained so far"
        if every
        else f"none, but data.val_annotations: {path} has learnt from all videos"
    )
    check(None in (every, now) or now in (0, every), "data.val_every", now, allowed)


def _check_categories(expected: Sequence[str], names: Sequence[str], config: TrainConfig) -> None:
    path, name = config.checkpoint, f"data.annotations is {config.data.annotations}"
    if len(names) != len(expected):
        raise ConfigError(
            f"{name}, with {len(names)} categories; allowed: {len(expected)}, which {path} has; "
            f"for others, another folder with --start {path}"
        )
    for category_id, pair in enumerate(zip(names, expected, strict=True), start=1):
        if pair[0] != pair[1]:
            raise ConfigError(
                f"{name}, with category {category_id} {pair[0]!r}; allowed: {pair[1]!r}, which "
                f"{path} has"
            )


def held_out_every(saved: Mapping[str, Any] | None, config: TrainConfig) -> int | None:
    """What a run's next checkpoint says of held-out videos; see `DataConfig.held_out_every`.

    Clips that are composed hold none out: it is still as before them.

    Args:
        saved: The checkpoint that the run goes on from, if there is one.
        config: Of the run.
    """
    now = config.data.held_out_every
    return saved.get("val_every") if saved is not None and now is None else now


def restore(saved: Mapping[str, Any], trainee: Trainee, optimiser: Optimizer) -> int:
    """Bring network and optimiser to where a checkpoint that fits was; returns the steps done."""
    trainee.load_state_dict(saved["trainee"])
    # Moments only: the rates are the configuration's, which may have changed.
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict(saved["optimiser"] | {"param_groups": groups})
    steps: int = saved["step"]
    return steps


def check_unused(config: TrainConfig, losses: Path, figures: Path) -> None:
    """See that a run that begins wipes no logs of another one.

    The loss of the first step is worth nothing without its checkpoint: it may be of a run that was
    killed before, or found no room for it.

    Args:
        config: Of the run that begins.
        losses: Log of the steps.
        figures: Log of the evaluations.

    Raises:
        ConfigError: A log holds something else.
        SourceError: One cannot be read.
    """
    for log, worthless in ((losses, 1), (figures, 0)):
        if max(logged_steps(log), default=0) > worthless:
            raise ConfigError(
                f"out is {config.out}, which has a {log.name} but no {config.checkpoint.name} to "
                "go on from; allowed: another folder, or this one without its logs"
            )


def last_written(file: Path) -> int | None:
    """When a file was last written, in ns since 1970; None where there is none."""
    return file.stat().st_mtime_ns if file.exists() else None


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """While in this context, no other run writes into a folder.

    Args:
        lock: A file there, empty; it stays.

    Raises:
        SinkError: Another run does, or the file cannot be made.
    """
    with writing(lock):
        held = open(lock, "wb", opener=open_alone_beside)  # noqa: SIM115 - closed below
    with held:
        yield


def _listed(sizes: Mapping[str, Any], names: Iterable[str]) -> str:
    return ", ".join(f"{name} {sizes[name]}" for name in names)
