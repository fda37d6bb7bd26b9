"""`streamer.script_arguments`: the older clip script's command lines, as they were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.arguments import parse
from streamer.errors import ConfigError
from streamer.script_arguments import spell_booleans


def test_the_command_line_of_the_scripts_own_manual() -> None:
    config = parse(
        "--masks --model_path vistr_r101.pth --img_path rawFrames --ann_path input.json "
        "--mp4_clip_path clip.mp4".split()
    )
    assert (config.input, config.weights, config.masks) == ("clip.mp4", "vistr_r101.pth", True)
    assert config.output == ["frame=rawFrames/", "binary=data/result_masks/"]
    assert config.results == ["results.json"]
    assert config.annotations == "input.json"
    assert config.threshold == 0.8


def test_every_argument_reaches_its_option() -> None:
    config = parse(
        "--mp4_clip_path c.mp4 --model_path w.pth --backbone resnet50 --masks false --img_path i/ "
        "--ann_path a.json --save_path r.json --masks_results_path m --masks_color True "
        "--threshold 0.6 --clean 1 --device cpu --num_frames 36 --num_ins 10".split()
    )
    assert (config.input, config.weights, config.backbone) == ("c.mp4", "w.pth", "resnet50")
    assert config.masks is False
    assert config.output == ["frame=i/", "classes=m/"]
    assert (config.annotations, config.results) == ("a.json", ["r.json"])
    assert (config.threshold, config.device) == (0.6, "cpu")
    assert (config.window.size, config.slots) == (36, 10)
    assert config.cleaned_folders == ("i/", "m")


def test_they_can_stand_beside_the_new_options() -> None:
    config = parse(
        "clip.mp4 --masks_results_path m --output overlay=o.mp4 --results r.json".split()
    )
    assert config.output == ["overlay=o.mp4", "binary=m/"]
    assert config.results == ["r.json"]
    assert config.threshold == "auto", "0.8 belongs to --mp4_clip_path"


def test_a_clip_makes_an_idle_clean_no_error() -> None:
    config = parse("--mp4_clip_path clip.mp4 --save_path r.json --clean --masks_color 0".split())
    assert (config.output, config.cleaned_folders) == ([], ())


@pytest.mark.parametrize("asked", ["--save_path r.json", "--output o.mp4", "--publish tcp://a"])
def test_where_a_result_is_asked_for_nothing_is_added(asked: str) -> None:
    config = parse(["--mp4_clip_path", "c.mp4", *asked.split()])
    assert "data/result_masks" not in str(config)
    assert config.results in ([], ["r.json"])


@pytest.mark.parametrize(
    ("text", "color", "source"),
    [
        ("clip.mp4", False, "clip.mp4"),
        ("--masks_color clip.mp4", True, "clip.mp4"),
        ("clip.mp4 --masks_color", True, "clip.mp4"),
        ("--masks_color true clip.mp4", True, "clip.mp4"),
        ("--masks_color True clip.mp4", True, "clip.mp4"),
        ("--masks_color 1 clip.mp4", True, "clip.mp4"),
        ("--masks_color False clip.mp4", False, "clip.mp4"),
        ("--masks_color false clip.mp4", False, "clip.mp4"),
        ("--masks_color 0 clip.mp4", False, "clip.mp4"),
        ("--masks_color=False clip.mp4", False, "clip.mp4"),
        ("--masks_color=1 clip.mp4", True, "clip.mp4"),
        ("--masks_color no clip.mp4", False, "clip.mp4"),
        ("--masks_color Off clip.mp4", False, "clip.mp4"),
        ("--masks_color yes clip.mp4", True, "clip.mp4"),
        ("--masks_color=on clip.mp4", True, "clip.mp4"),
        ("--masks --masks_color clip.mp4", True, "clip.mp4"),
    ],
)
def test_booleans_bare_or_with_a_value(text: str, color: bool, source: str) -> None:
    config = parse([*text.split(), "--masks_results_path", "m"])
    assert config.input == source
    assert config.output == [f"{'classes' if color else 'binary'}=m/"]
    assert config.masks


def test_only_the_switches_are_spelled_out() -> None:
    others = ["--img_path", "1", "--quiet", "--output", "--masks_color.mp4"]
    assert spell_booleans(others) == others


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--masks=maybe", "masks is 'maybe'; allowed: true or false"),
        ("--clean", "clean is True; allowed: False without img_path and masks_results_path"),
        ("--masks_color --img_path i", "masks_color is True; allowed: False without masks_results"),
        ("--clean --img_path=", "img_path is ''; allowed: text that is not empty"),
        ("a.mp4 --mp4_clip_path b.mp4", "is 'b.mp4'; allowed: none beside SOURCE a.mp4"),
        ("--num_frames 0", "window.size is 0; allowed: at least 1"),
        ("--num_ins x", "slots is 'x'; allowed: a whole number"),
        ("--save_pth r.json", "did you mean --save_path?"),
    ],
)
def test_contradictions_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text.split())
    assert message in str(caught.value)


def test_they_win_over_a_config_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "input: a.mp4\nweights: a.pth\nannotations: a.json\nslots: 3\nwindow: {size: 6}\n"
    )
    config = parse(
        f"--config {file} --mp4_clip_path b.mp4 --model_path b.pth --ann_path b.json --num_ins 10 "
        "--num_frames=36".split()
    )
    assert (config.input, config.weights, config.annotations) == ("b.mp4", "b.pth", "b.json")
    assert (config.slots, config.window.size) == (10, 36)


def test_a_source_replaces_the_clip_of_a_config_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("mp4_clip_path: a.mp4\n")
    assert parse(["--config", str(tmp_path / "c.yaml"), "b.mp4"]).input == "b.mp4"
    with pytest.raises(ConfigError, match=r"mp4_clip_path is 'a.mp4'; allowed: none beside SOURCE"):
        parse(["--mp4_clip_path", "a.mp4", "b.mp4"])


def test_old_and_new_names_are_one_option() -> None:
    config = parse("--save_path a.json --results b.json --model_path a.pth --weights b.pth".split())
    assert config.results == ["a.json", "b.json"]
    assert config.weights == "b.pth"


def test_they_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("mp4_clip_path: c.mp4\nmasks_results_path: m\nmasks_color: true\n")
    config = parse(["--config", str(file), "--clean"])
    assert (config.input, config.output) == ("c.mp4", ["classes=m/"])
    assert (config.threshold, config.cleaned_folders) == (0.8, ("m",))
