"""`streamer.arguments` and `streamer.config`: flags, YAML, and what is refused."""

from __future__ import annotations

import dataclasses
import re
from operator import attrgetter
from pathlib import Path

import pytest

from streamer.arguments import CONFIGS, build_parser, parse
from streamer.config import StreamConfig
from streamer.errors import ConfigError, SourceError

ONE_SOURCE = "there is one SOURCE; images are given as a folder or a pattern (frames/%04d.png)"


def test_nothing_given_is_the_default() -> None:
    assert parse([]) == StreamConfig()


def test_flags_reach_their_fields() -> None:
    config = parse(
        "clip.mp4 --weights w.pth --window.stride 6 --window.emit_delay 0 --publish tcp://a "
        "--publish tcp://b --output o.mp4 --source.live true --quiet --max_frames 7".split()
    )
    assert (config.input, config.weights, config.output) == ("clip.mp4", "w.pth", ["o.mp4"])
    assert (config.window.stride, config.window.emit_delay) == (6, 0)
    assert config.publish == ["tcp://a", "tcp://b"]
    assert config.source.live is True
    assert config.quiet
    assert config.max_frames == 7


def test_a_bare_switch_does_not_swallow_the_source() -> None:
    assert parse(["--quiet", "clip.mp4"]).input == "clip.mp4"


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("publish: tcp://a\noutput: [x.mp4, y.mp4]\nwindow:\n  stride: 6\n")
    config = parse(["--config", str(file), "--publish", "tcp://b", "--window.emit_delay", "2"])
    assert config.publish == ["tcp://b"]
    assert config.output == ["x.mp4", "y.mp4"]
    assert (config.window.stride, config.window.emit_delay) == (6, 2)


def test_the_file_wins_over_what_stands_before_it(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("publish: tcp://b\nwindow:\n  stride: 6\n")
    before = ["--window.stride", "3", "--output", "a.mp4", "--publish", "tcp://a"]
    config = parse([*before, "--config", str(file)])
    assert config.window.stride == 6
    assert config.publish == ["tcp://b"]
    assert config.output == ["a.mp4"]
    behind = ["--publish", "tcp://c", "--publish", "tcp://d", "--output", "b.mp4"]
    config = parse([*before, "--config", str(file), *behind])
    assert config.publish == ["tcp://c", "tcp://d"]
    assert config.output == ["a.mp4", "b.mp4"]  # the file says nothing of them


def test_two_command_lines_do_not_share_values() -> None:
    assert parse(["--publish", "tcp://a"]).publish == ["tcp://a"]
    assert parse(["--publish", "tcp://b"]).publish == ["tcp://b"]
    assert parse([]).publish == []


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("demo", {"zmq.wait_subscribers": 1}),
        ("file", {"source.live": False, "window.stride": 18, "window.emit_delay": 1}),
        ("live", {"source.live": True, "source.realtime": True, "window.emit_delay": 0}),
        ("vistr_r50", {"weights": "vistr_r50.pth"}),
        ("vistr_r101", {"weights": "vistr_r101.pth"}),
    ],
)
def test_a_shipped_config_is_found_by_name(name: str, options: dict[str, object]) -> None:
    config = parse(["--config", name])
    for option, value in options.items():
        assert attrgetter(option)(config) == value
    assert config == parse(["--config", str(CONFIGS / f"{name}.yaml")])


def test_every_shipped_config_is_tested_above() -> None:
    shipped = {path.stem for path in CONFIGS.glob("*.yaml")}
    assert shipped == {"demo", "file", "live", "vistr_r50", "vistr_r101"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--window.stride 0", "window.stride is 0"),
        ("--window.stride x", "window.stride is 'x'; allowed: auto or a whole number"),
        ("--window.stride=", "window.stride is ''; allowed: auto or a whole number"),
        ("--num_frames=", "window.size is ''; allowed: a whole number"),
        ("--threshold=", "threshold is ''; allowed: auto or a number"),
        ("--device=", "device is ''; allowed: auto or cpu or cuda"),
        ("--source.live=", "source.live is ''; allowed: auto or true or false"),
        ("--weights=", "weights is ''; allowed: text that is not empty"),
        ("--source.format=", "source.format is ''; allowed: text that is not empty"),
        ("--metrics.host=", "metrics.host is ''; allowed: text that is not empty"),
        ("--window.size 0", "window.size is 0"),
        ("--window.emit_delay -1", "window.emit_delay is -1"),
        ("--window.frame_step 0", "window.frame_step is 0"),
        ("--threshold 1.5", "threshold is 1.5; allowed: auto, or from 0 to 1"),
        ("--threshold .nan", "threshold is nan"),
        ("--stream a/b", "stream is 'a/b'"),
        ("--start -1", "start is -1"),
        ("--duration 0", "duration is 0"),
        ("--max_frames 0", "max_frames is 0"),
        ("--roi 1,2,3", "roi is '1,2,3'"),
        ("--roi 1,2,3,x", "roi is '1,2,3,x'"),
        ("--roi 0,0,0,4", "roi is '0,0,0,4'"),
        ("--roi -1,0,10,10", "roi is '-1,0,10,10'; allowed: left,top,width,height in pixels"),
        ("--start 1:30", "start is '1:30'; allowed: a number"),
        ("--duration=01:30:00.5", "duration is '01:30:00.5'; allowed: a number"),
        ("--max_frames 0x10", "max_frames is '0x10'; allowed: a whole number"),
        ("--num_frames 1:0", "window.size is '1:0'; allowed: a whole number"),
        ("--threshold 0b1", "threshold is '0b1'; allowed: auto or a number"),
        ("--categories ,", "categories is ','"),
        ("--source.fps 0", "source.fps is 0"),
        ("--source.buffer 0", "source.buffer is 0"),
        ("--source.webcam_size 1280", "source.webcam_size is '1280'; allowed: width and height"),
        ("--source.webcam_fps 0", "source.webcam_fps is 0.0; allowed: from 0.001"),
        ("--source.read_timeout_s 0", "source.read_timeout_s is 0"),
        ("--source.open_timeout_s 0", "source.open_timeout_s is 0"),
        ("--stitch.accept 2", "stitch.accept is 2"),
        ("--stitch.memory 0", "stitch.memory is 0"),
        ("--zmq.hwm 0", "zmq.hwm is 0"),
        ("--zmq.heartbeat_s 0", "zmq.heartbeat_s is 0"),
        ("--zmq.linger_s -1", "zmq.linger_s is -1"),
        ("--zmq.wait_subscribers -1", "zmq.wait_subscribers is -1"),
        ("--zmq.pattern push --zmq.wait_subscribers 1", "zmq.wait_subscribers is 1"),
        ("--zmq.pattern push --zmq.linger_s 0", "zmq.linger_s is 0.0; allowed: more than 0 with"),
        ("--mp4.crf 52", "mp4.crf is 52"),
        ("--mp4.segment_mb 0", "mp4.segment_mb is 0.0; allowed: from 0.01 to 1e6 megabytes"),
        ("--mp4.keyframe_s 0", "mp4.keyframe_s is 0"),
        ("--mp4.style neon", "mp4.style is 'neon'; allowed: overlay or side_by_side or"),
        ("--output a.avi", "output is 'a.avi'; allowed: a file name with .mp4, .m4v, .gif, .webp"),
        ("--output neon=a.mp4", "output is 'neon=a.mp4'; allowed styles here: overlay, side_by"),
        ("--output tracks=a.gif", "output is 'tracks=a.gif'; allowed styles here: overlay"),
        ("--output cutout=a/ --images.format jpg", "images.format is 'jpg'; allowed: auto or png"),
        ("--images.style cutout --output a/ --images.format jpg", "images.format is 'jpg'"),
        ("--results a.mp4", "results is 'a.mp4'; allowed: a JSON file, such as r.json"),
        ("--results a.json --results b.PNG", "results is 'b.PNG'; allowed: a JSON file"),
        ("--annotations a.webp", "annotations is 'a.webp'; allowed: a JSON file, such as r.json"),
        ("--images.quality 101", "images.quality is 101"),
        ("--images.format bmp", "images.format is 'bmp'; allowed: auto or png or jpg"),
        ("--preview.width 8", "preview.width is 8"),
        ("--preview.fps 0", "preview.fps is 0"),
        ("--preview.duration_s 0", "preview.duration_s is 0"),
        ("--slots 0", "slots is 0"),
        ("--short_side 31", "short_side is 31; allowed: from 32 to 4320"),
        ("--threads 0", "threads is 0; allowed: auto, or from 1 to 1024"),
        ("--stride 3", "did you mean --window.stride?"),
        (
            "--source a.mp4",
            "--source (SOURCE stands without a flag); its options are --source.live",
        ),
        ("--window={stride:6}", "--window; its options are --window.size"),
        ("--start .inf", "start is inf"),
        ("--duration 1e308", "duration is 1e+308"),
        ("--strid 3", "unrecognized arguments: --strid"),
        ("a.mp4 b.mp4", "unrecognized arguments: b.mp4"),
        ("--output", "argument --output"),
    ],
)
def test_bad_values_are_refused_on_one_line_that_names_them(arguments: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(arguments.split())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_file_that_looks_like_an_option_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"unrecognized arguments: -dash\.mp4$"):
        parse(["-dash.mp4"])
    Path("-dash.mp4").touch()
    with pytest.raises(ConfigError, match=r"-dash\.mp4; a file whose name begins with - needs \./"):
        parse(["-dash.mp4"])
    assert parse(["./-dash.mp4"]).input == "./-dash.mp4"


def test_the_configs_for_everybody_are_listed() -> None:
    listed = "configs that ship by name: file, live, vistr_r101, vistr_r50$"
    with pytest.raises(SourceError, match=f"^config 'liv': no such file; {listed}"):
        parse(["--config", "liv"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("publish: 5", "publish is 5"),
        ("output: {a: 1}", "output is"),
        ("input: [a.mp4]", "input is ['a.mp4']"),
        ("input: ''", "input is ''"),
        ("quiet: hello", "quiet is 'hello'"),
        ("window: [1]", "window is [1]; allowed: a mapping of its options"),
        ("mp4: 3", "mp4 is 3; allowed: a mapping of its options"),
        ("window:  # stride: 3", "window is None; allowed: a mapping of its options"),
        ("start: null", "start is empty; allowed: a number"),
        ("window: {stride: null}", "window.stride is empty; allowed: auto or a whole number"),
        ("start: 0\nmasks:", "masks is empty; allowed: true or false"),
        ("start: 0\nmasks_color:", "masks_color is empty; allowed: true or false"),
        ("metrics: 3", "metrics is 3; allowed: a mapping of its options"),
        ("metrics: {stall_s: }", "metrics.stall_s is empty; allowed: a number"),
        (f"threads: {10**30}", "allowed: auto, or from 1 to 1024"),
        (f"short_side: {10**30}", "allowed: from 32 to 4320"),
        ("category_file: ''", "category_file is ''; allowed: text that is not empty"),
        ("zmq: {curve_key: ''}", "zmq.curve_key is ''; allowed: text that is not empty"),
        ("roi: [0, 0, 10]", "roi is '[0, 0, 10]'; allowed: a list of 4 whole numbers or text"),
        ("categories: [1]", "categories is '[1]'; allowed: a list of texts or text"),
        ("threshold: high", "threshold is 'high'; allowed: auto or a number"),
    ],
)
def test_values_of_the_wrong_kind_in_a_file_are_named(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        parse(["--config", str(file)])
    assert message in str(caught.value)


def test_the_source_may_stand_in_a_file_and_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("input: file.mp4\n")
    assert parse(["--config", str(file)]).input == "file.mp4"
    assert parse(["--config", str(file), "a.mp4"]).input == "a.mp4"
    assert parse(["a.mp4", "--config", str(file)]).input == "a.mp4"


def test_a_webcam_s_number_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("input: 0\n")
    assert parse(["--config", str(file)]).input == "0"
    file.write_text("input: true\n")
    with pytest.raises(ConfigError, match="input is True; allowed: a file"):
        parse(["--config", str(file)])


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--strid", "3"], "did you mean --window.stride?"),
        (["a.mp4", "--categories", "person", "dog"], "without spaces: --categories person,dog"),
        (["a.mp4", "b.webp"], "unrecognized arguments: b.webp; did you mean --output b.webp?"),
        (["a.mp4", "b/"], "did you mean --output b/?"),
        (["a.mp4", str(Path(__file__).parent) + "/"], f"{Path(__file__).parent}/; {ONE_SOURCE}"),
        (["a.mp4", "rtsp://cam/"], f"unrecognized arguments: rtsp://cam/; {ONE_SOURCE}"),
        (["a.mp4", __file__, "b.py", "c.py"], f"arguments: {__file__} and 2 more; {ONE_SOURCE}"),
        (["--input", "a.mp4"], "unrecognized arguments: --input; SOURCE stands without a flag"),
        (["--SOURCE=a.mp4"], "arguments: --SOURCE=a.mp4; SOURCE stands without a flag"),
        (["-i", "a.mp4", "--quiet"], "unrecognized arguments: -i; SOURCE stands without a flag"),
        (["a.mp4", "-o", "b.mp4"], "arguments: -o b.mp4; did you mean --output?"),
        (["a.mp4", "-z"], "unrecognized arguments: -z"),
    ],
)
def test_what_was_meant_is_suggested(arguments: list[str], hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(arguments)
    assert str(caught.value).endswith(hint)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"line 1 is no text in UTF-8: .* invalid start byte"):
        parse(["--config", str(file)])
    file.write_text("stream: a\ninput: Tür.mp4\n", encoding="latin-1")
    with pytest.raises(ConfigError, match="line 2 is no text in UTF-8"):
        parse(["--config", str(file)])


def test_an_unknown_key_in_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("window:\n  strid: 6\n")
    with pytest.raises(ConfigError, match="strid"):
        parse(["--config", str(file)])


def test_a_missing_config_file_is_the_worlds_fault() -> None:
    with pytest.raises(SourceError, match=r"config 'nope.yaml': no such file.*file, live"):
        parse(["--config", "nope.yaml"])


def test_lists_may_be_written_with_commas_or_as_lists() -> None:
    assert parse(["--categories", "person, dog"]).category_names() == ["person", "dog"]
    assert StreamConfig(categories=["person"]).category_names() == ["person"]
    assert StreamConfig().category_names() is None
    assert parse(["--roi", "1,2,3,4"]).region() == (1, 2, 3, 4)
    assert StreamConfig(roi=(1, 2, 3, 4)).region() == (1, 2, 3, 4)


def test_every_option_has_a_help_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "vistr-stream [SOURCE] [OPTIONS]" in text
    for field in dataclasses.fields(StreamConfig):
        assert field.name in {"input", "cleaned_folders"} or f"--{field.name}" in text
    assert not re.search(r"Union|Literal|null|\bNone\b", text)
    words = " ".join(text.split())
    assert (
        "for every output. auto: 0.5, and 0.8 with --mp4_clip_path. (auto or a number, def" in words
    )
    assert "(a whole number, default: 1)" in words
    assert "by its own timestamps. (default: false)" in words
    assert "cuda if there is one. (default: auto)" in words
    parser, _ = build_parser()
    assert [action.dest for action in parser._actions if not action.help] == []


def test_print_config_shows_the_options_as_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--config", "live", "--threshold", "0.25", "--print_config=skip_default"])
    shown = capsys.readouterr().out
    assert "threshold: 0.25" in shown
    assert "device" not in shown


def test_the_live_preset_lets_the_stride_grow() -> None:
    config = parse(["rtsp://camera/stream", "--config", "live"])
    assert (config.window.stride, config.source.buffer) == ("auto", "auto")


def test_what_print_config_shows_can_be_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["a.mp4", "--config", "file", "--publish", "tcp://a", "--roi", "1,2,3,4"]
    with pytest.raises(SystemExit):
        parse([*arguments, "--print_config"])
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)
    assert parse(["--config", str(file)]) == parse(arguments)
