"""``python -m training.train`` says in a line which option is out of range, and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

import training
from streamer.errors import ConfigError
from training import run
from training.run_config import TrainConfig
from training.state import DEFAULT
from training.train import main


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--seed=-1", "seed is -1; allowed: 0 to 9223372036854775807"),
        ("--seed=9223372036854775808", "seed is 9223372036854775808; allowed: 0 to"),
        ("--threads=-1", "threads is -1; allowed: 0 to 1024"),
        ("--threads=1025", "threads is 1025; allowed: 0 to 1024"),
        ("--rate=-1", "rate is -1.0; allowed: 0 and more"),
        ("--rate=.inf", "rate is inf; allowed: 0 and more"),
        ("--backbone_rate=-1", "backbone_rate is -1.0; allowed: 0 and more"),
        ("--weight_decay=-1", "weight_decay is -1.0; allowed: 0 and more"),
        ("--weight_decay=.nan", "weight_decay is nan; allowed: 0 and more"),
        ("--warmup=-1", "warmup is -1; allowed: 0 and more"),
        ("--clip_norm=0", "clip_norm is 0.0; allowed: above 0"),
        ("--steps=0", "steps is 0; allowed: 1 and more"),
        ("--losses.mask_stride=0", "losses.mask_stride is 0; allowed: 1, 2 or 4"),
        ("--losses.mask_stride=3", "losses.mask_stride is 3; allowed: 1, 2 or 4"),
        ("--losses.label=-1", "losses.label is -1.0; allowed: 0 and more"),
        ("--losses.token_box=.inf", "losses.token_box is inf; allowed: 0 and more"),
        ("--losses.no_object=.nan", "losses.no_object is nan; allowed: 0 and more"),
        ("--losses.match.giou=-2", "losses.match.giou is -2.0; allowed: 0 and more"),
        ("--losses.match.box=.nan", "losses.match.box is nan; allowed: 0 and more"),
        ("--aspects=[1.5,20.1]", "aspects is (1.5, 20.1); allowed: one or more, from 0.05 to 20"),
        ("--aspects=[0.04]", "aspects is (0.04,); allowed: one or more, from 0.05 to 20"),
        ("--aspects=[.nan]", "aspects is (nan,); allowed: one or more, from 0.05 to 20"),
        ("--aspects=[]", "aspects is (); allowed: one or more, from 0.05 to 20"),
        ("--data.composition.pace=.nan", "pace is nan, expected 0 or more"),
        ("--data.composition.pace=.inf", "pace is inf, expected 0 or more"),
        ("--data.composition.heights=[0.1,.inf]", "heights are (0.1, inf), expected lowest and"),
    ],
)
def test_options_out_of_range_are_named(
    option: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--out={tmp_path / 'out'}", option]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


CONFIGS = sorted((Path(training.__file__).parent / "configs").glob("*.yaml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_the_configs_for_fine_tuning_ask_for_what_a_stream_needs(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TrainConfig] = []

    def note(asked_for: TrainConfig) -> None:
        asked.append(asked_for)
        raise ConfigError("seen")

    monkeypatch.setattr(run, "Run", note)
    assert main([f"--config={config}", f"--out={tmp_path}"]) == 2
    assert asked[0].losses.absent == "category"
    assert asked[0].start in {None, DEFAULT}


def test_a_place_that_cannot_be_written_to_is_named_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert main([f"--out={out}", f"--start={tmp_path / 'none.pt'}"]) == 1
        assert capsys.readouterr().err == f"error: {out}: {tmp_path / 'file'} is not a folder\n"
