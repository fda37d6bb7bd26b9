"""What a config file or an argument of ``python -m training.train`` gets wrong: said in a line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from training.arguments import parse
from training.train import main

TWO_BLOCKS = "losses:\n  label: 2\nsteps: 3\nlosses:\n  box: 4\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("losses: 3", "losses is 3; allowed: a mapping of its options"),
        ("losses: [1, 2]", "losses is [1, 2]; allowed: a mapping of its options"),
        ("losses: x", "losses is 'x'; allowed: a mapping of its options"),
        ("data: 5", "data is 5; allowed: a mapping of its options"),
        ("data:\nsteps: 3", "data is None; allowed: a mapping of its options"),
        ("losses:\n  match: 3", "losses.match is 3; allowed: a mapping of its options"),
        ("data:\n  composition: 7", "data.composition is 7; allowed: a mapping of its options"),
        ("data: {class_path: evil.X}", "unknown option 'data.class_path'"),
        ("data.composition: evil.x", "data.composition is 'evil.x'; allowed: a mapping"),
        (TWO_BLOCKS, "losses is 'there twice'; allowed: once, several values as a list"),
        ("steps: abc", "steps is 'abc'; allowed: a whole number"),
        ("seed:\nsteps: 3", "seed is empty; allowed: a whole number"),
        ("steps: 1:30", "steps is '1:30'; allowed: a number, or text in quotes"),
        ("losses: {labl: 3}", "unknown option 'losses.labl'; did you mean losses.label"),
        ("step: 3", "unknown option 'step'; did you mean steps?"),
        ("data: {composition: {class_path: a.B}}", "unknown option 'data.composition.class_path'"),
        ("data.composition.class_path: a.B", "unknown option 'data.composition.class_path'"),
        ("losses: {match.box: [1]}", "losses.match.box is '[1]'; allowed: a number"),
        ("a: [", "while parsing a flow node"),
        ('out: ""', "out: '' is no folder's name"),
    ],
)
def test_nothing_of_a_config_file_is_lost(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(text)
    assert main([f"--out={tmp_path / 'out'}", f"--config={config}"]) == 2
    error = capsys.readouterr().err
    assert error.removeprefix("error: ").removeprefix(f"config {config}: ").startswith(message)
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "form",
    [
        "{name}.x",
        "{{class_path: {name}.X}}",
        "\n  composition: {name}.x",
        "\n  composition: {{class_path: {name}.X}}",
        "\n  composition.class_path: {name}.X",
    ],
)
def test_a_group_imports_no_module(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil_group.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / "run.yaml"
    config.write_text(f"data: {form.format(name='evil_group')}")
    assert main([f"--out={tmp_path / 'out'}", f"--config={config}"]) == 2
    for group in ("data", "data.composition"):
        assert main([f"--out={tmp_path / 'out'}", f"--{group}=evil_group.X"]) == 2
        assert main([f"--out={tmp_path / 'out'}", f"--{group}.class_path=evil_group.X"]) == 2
    assert "evil_group" not in sys.modules


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--steps=abc", "steps is 'abc'; allowed: a whole number"),
        ("--losses.label=x", "losses.label is 'x'; allowed: a number"),
        ("--precision=half", "precision is 'half'; allowed: auto or bf16 or fp32"),
        ("--consecutive=maybe", "consecutive is 'maybe'; allowed: true or false"),
        ("--aspects=[a]", "aspects is 'a'; allowed: a list of numbers"),
        (
            "--data.composition.objects=[1]",
            "data.composition.objects is '[1]'; allowed: a list of 2 whole numbers",
        ),
        ("--step=3", "unrecognized arguments: --step=3; did you mean --steps?"),
        ("--steps=1:30", "steps is '1:30'; allowed: a whole number"),
        (
            "--losses.match=evil.x",
            "unrecognized argument: --losses.match; its options are --losses.match.label, "
            "--losses.match.box, --losses.match.giou",
        ),
        ("--rate=1" + "0" * 400, "a number has too many digits: int too large to convert to float"),
        ("--out=", "argument --out: '' is no folder's name"),
    ],
)
def test_an_argument_of_another_type_is_named(
    argument: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--out={tmp_path / 'out'}", argument]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_what_has_to_be_there_is_named_as_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--steps=3"]) == 2
    expected = "error: the following arguments are required: --out\n"
    assert capsys.readouterr().err == expected


def test_a_config_that_is_no_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--out={tmp_path / 'out'}", f"--config={tmp_path / 'none.yaml'}"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: config {tmp_path / 'none.yaml'}: cannot be read as text: ")


def test_flags_behind_a_config_win(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("steps: 5\nlosses:\n  match:\n    box: 3\n  label: 2\n")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    configs = [f"--config={tmp_path / name}" for name in ("run.yaml", "empty.yaml")]
    config = parse([*configs, "--out=runs/mine", "--steps=7", "--losses.label=4"])
    assert (config.out, config.steps, config.losses.label) == (Path("runs/mine"), 7, 4)
    assert config.losses.match.box == 3
