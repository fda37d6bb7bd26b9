"""``python -m training.ship``: a run's checkpoint as weights that say what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from model import load_vistr
from tests.training_cases import tiny_trainee
from training.ship import main
from training.state import checkpoint, tensors_sha256, write_checkpoint


@pytest.fixture
def run(tmp_path: Path) -> Path:
    trainee = tiny_trainee()
    optimiser = torch.optim.AdamW(trainee.parameters())
    write_checkpoint(tmp_path / "checkpoint.pt", checkpoint(trainee, optimiser, 7, 96))
    return tmp_path


def ship(run: Path, *more: str) -> int:
    return main(
        [str(run / "checkpoint.pt"), str(run / "out.safetensors"), "--short_side", "48", *more]
    )


def test_weights_carry_their_facts_and_the_evaluation_of_just_these(run: Path) -> None:
    facts = {"data": "none", "seed": 3}
    (run / "facts.json").write_text(json.dumps(facts))
    assert ship(run) == 0
    first = load_vistr(run / "out.safetensors")
    assert first.short_side == 48
    assert first.trained
    assert list(first.facts) == ["commit"]

    evaluation = {"weights": {"tensors_sha256": tensors_sha256(first)}, "speed": {"fps": 3}}
    (run / "evaluation.json").write_text(json.dumps(evaluation))
    given = (f"--{name}={run / name}.json" for name in ("facts", "evaluation"))
    assert ship(run, *given) == 0
    shipped = load_vistr(run / "out.safetensors")
    assert shipped.facts["trained_on"] == facts
    assert shipped.facts["evaluation"] == evaluation
    assert tensors_sha256(shipped) == tensors_sha256(first)


def test_the_short_side_is_the_run_s_unless_another_is_given(run: Path) -> None:
    assert main([str(run / "checkpoint.pt"), str(run / "out.safetensors")]) == 0
    assert load_vistr(run / "out.safetensors").short_side == 96


@pytest.mark.parametrize(
    "evaluation", [{"weights": {"tensors_sha256": "0ff"}}, {"weights": "mine"}, {"speed": {}}]
)
def test_an_evaluation_of_other_weights_is_refused(
    run: Path, evaluation: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "evaluation.json"
    path.write_text(json.dumps(evaluation))
    assert ship(run, f"--evaluation={path}") == 1
    error = capsys.readouterr().err
    assert f"{path}: of other weights" in error
    assert not (run / "out.safetensors").exists()


def test_what_half_precision_cannot_hold_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainee = tiny_trainee()
    trainee.net.vistr.class_embed.bias.data[2] = 1e5
    optimiser = torch.optim.AdamW(trainee.parameters())
    write_checkpoint(tmp_path / "checkpoint.pt", checkpoint(trainee, optimiser, 7, 96))
    assert ship(tmp_path) == 1
    reason = "vistr.class_embed.bias has values that half precision cannot hold"
    assert capsys.readouterr().err == f"error: {tmp_path / 'checkpoint.pt'}: {reason}\n"
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("name", ["facts", "evaluation"])
def test_what_is_no_object_is_refused(
    run: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / f"{name}.json"
    path.write_text("[1]")
    assert ship(run, f"--{name}={path}") == 1
    assert f"{path}: expected an object, found list" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("checkpoint", "weights", "side", "message"),
    [
        ("none.pt", "out.bin", "48", "does not end in .safetensors"),
        ("none.pt", "out.safetensors", "-5", "'-5' is no whole number from 32 on"),
        # Of a run of single frames, its window has one frame.
        ("network.safetensors", "out.safetensors", "48", "does not end in .pt"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_read(
    run: Path,
    checkpoint: str,
    weights: str,
    side: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(run / checkpoint), str(run / weights), f"--short_side={side}"])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
