"""Whether a run goes on: from its own checkpoint at other rates, from none of another network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model import LIGHT, VisTR
from streamer.errors import ConfigError
from tests.training_cases import tiny_trainee
from training.criterion import LossConfig
from training.network import Trainee
from training.optimiser import make_optimiser
from training.resume import check_fits, held_out_every
from training.run_config import DataConfig, TrainConfig
from training.state import checkpoint, with_categories

CONFIG = TrainConfig(out=Path("runs/mine"), start=Path("mine.safetensors"), groups=2)
STILL = replace(CONFIG, backbone_rate=0)


def saved(config: TrainConfig = CONFIG) -> dict[str, Any]:
    """The checkpoint of a run."""
    trainee = tiny_trainee(groups=config.groups)
    return checkpoint(trainee, make_optimiser(trainee, config), 3, 96)


def test_rates_losses_and_length_may_change() -> None:
    other = replace(CONFIG, rate=1, backbone_rate=2, steps=9, losses=LossConfig(token=1))
    check_fits(saved(), tiny_trainee(groups=2), other)
    check_fits(saved(STILL), tiny_trainee(groups=2), STILL)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (CONFIG, replace(CONFIG, groups=3), "groups is 3; allowed: 2, which {} has"),
        (CONFIG, STILL, "backbone_rate is 0; allowed: above 0, as {} has been trained so far"),
        (STILL, CONFIG, "backbone_rate is 1e-05; allowed: 0, as {} has been trained so far"),
    ],
)
def test_options_that_the_checkpoint_does_not_fit_are_named(
    before: TrainConfig, after: TrainConfig, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        check_fits(saved(before), tiny_trainee(groups=after.groups), after)
    assert str(error.value) == message.format("runs/mine/checkpoint.pt")


DATA = DataConfig(annotations=Path("a.json"), images=Path("images"))
ALL = replace(DATA, val_annotations=Path("b.json"), val_images=Path("images"))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (DATA, replace(DATA, val_every=2), "2; allowed: 10, by which {} has been trained so far"),
        (ALL, DATA, "10; allowed: none, but data.val_annotations: {} has learnt from all videos"),
    ],
)
def test_no_run_goes_on_to_evaluate_on_what_it_was_trained_on(
    before: DataConfig, after: DataConfig, message: str
) -> None:
    kept = saved() | {"val_every": before.held_out_every}
    with pytest.raises(ConfigError) as error:
        check_fits(kept, tiny_trainee(groups=2), replace(CONFIG, data=after))
    assert str(error.value) == "data.val_every is " + message.format("runs/mine/checkpoint.pt")


@pytest.mark.parametrize(
    ("before", "after"),
    [(DATA, replace(DATA, images=Path("x"))), (DATA, ALL), (DataConfig(), DATA), (ALL, ALL)],
)
def test_other_data_are_no_obstacle(before: DataConfig, after: DataConfig) -> None:
    kept = saved() | {"val_every": before.held_out_every}
    check_fits(kept, tiny_trainee(groups=2), replace(CONFIG, data=after))
    check_fits(
        saved(), tiny_trainee(groups=2), replace(CONFIG, data=after)
    )  # of before it was kept


def test_which_videos_are_held_out_outlives_steps_of_composed_clips() -> None:
    composed, annotated = replace(CONFIG, data=DataConfig()), replace(CONFIG, data=DATA)
    assert held_out_every({"val_every": 7}, composed) == 7
    assert held_out_every({"val_every": 7}, replace(CONFIG, data=ALL)) == 0
    assert held_out_every({"val_every": None}, annotated) == 10
    assert held_out_every({}, composed) is None  # of before it was kept
    assert held_out_every(None, annotated) == 10


def test_another_network_to_start_from_is_named() -> None:
    with pytest.raises(ConfigError) as error:
        check_fits(saved(), tiny_trainee(frames=4, slots=5, groups=2), CONFIG)
    assert str(error.value) == (
        "start is mine.safetensors, with frames 4, slots 5; "
        "allowed: a network with frames 6, slots 3, which runs/mine/checkpoint.pt has"
    )
    light = with_categories(Trainee(VisTR(LIGHT), 2), tiny_trainee().net.categories[1:], 0)
    with pytest.raises(ConfigError, match=r"^start is None, with hidden_dim 192, .*, heads 4, "):
        check_fits(saved(), light, replace(CONFIG, start=None))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("class_1", "cat", "class_3", "class_4", "class_5"), "2 'cat'; allowed: 'class_2'"),
        (
            ("class_2", "class_1", "class_3", "class_4", "class_5"),
            "1 'class_2'; allowed: 'class_1'",
        ),
    ],
)
def test_other_categories_are_named(names: tuple[str, ...], message: str) -> None:
    trainee = with_categories(tiny_trainee(groups=2), names, 0)
    with pytest.raises(ConfigError) as error:
        check_fits(saved(), trainee, CONFIG)
    assert str(error.value) == (
        f"data.annotations is None, with category {message}, which runs/mine/checkpoint.pt has"
    )


@pytest.mark.parametrize("count", [1, 6])
def test_another_number_of_categories_is_named(count: int) -> None:
    trainee = with_categories(tiny_trainee(groups=2), [f"class_{n + 1}" for n in range(count)], 0)
    with pytest.raises(ConfigError) as error:
        check_fits(saved(), trainee, CONFIG)
    assert str(error.value) == (
        f"data.annotations is None, with {count} categories; allowed: 5, which "
        "runs/mine/checkpoint.pt has; for others, another folder with --start "
        "runs/mine/checkpoint.pt"
    )
