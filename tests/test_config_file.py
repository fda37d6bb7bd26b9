"""Whatever a config holds: a configuration, or one line that names what is wrong."""

from __future__ import annotations

import math
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.arguments import TYPES, configure, parse
from streamer.config import StreamConfig
from streamer.errors import ConfigError
from streamer.option_types import is_group

GROUPS = {name: kind for name, kind in TYPES.items() if is_group(kind)}

FEW = settings(max_examples=15)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["auto", "1", "true", "~", "-", "a.mp4", "x/", "=", "1,2,3,4", "[", 10**400])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


def options_of(kind: type) -> st.SearchStrategy[str]:
    return st.sampled_from([field.name for field in fields(kind) if field.name not in GROUPS])


OPTIONS = st.dictionaries(options_of(StreamConfig), VALUES, min_size=1, max_size=1) | (
    st.sampled_from(sorted(GROUPS)).flatmap(
        lambda group: st.fixed_dictionaries(
            {group: VALUES | st.dictionaries(options_of(GROUPS[group]), VALUES, max_size=2)}
        )
    )
)
SNIPPETS = "[ ] { } | ' # auto 2001-99-99 0b_ ._ 1:2:3 1e400 é *a".split()
KEYS = ["start: ", "stream: ", "source:\n", "  fps: ", "- ", "&a ", "!!int ", "<<: ", "? ", "--- "]
LINES = st.sampled_from([*SNIPPETS, *KEYS, "\n", "\t", "\x00", "\x85", "7" * 400])


def refused(text: str, path: Path) -> str:
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(ConfigError) as caught:
        parse(["--config", str(path)])
    start = f"config {path}: "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


@FEW
@given(OPTIONS)
def test_any_value_is_taken_or_refused_by_its_name(options: dict[str, Any]) -> None:
    (name, value), *_ = options.items()
    try:
        assert isinstance(configure(options), StreamConfig)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - not raising at all is right as well
        inner = list(value) if isinstance(value, dict) else []
        assert any(each in str(error) for each in (name, *inner, "too many digits"))  # noqa: PT017


@FEW
@given(st.lists(LINES, max_size=8).map("".join) | OPTIONS.map(yaml.safe_dump))
def test_any_text_is_taken_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        assert isinstance(parse(["--config", str(path)]), StreamConfig)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start: 0b_", "start is '0b_'; allowed: a number, or text in quotes"),
        ("source: {fps: ._}", "source.fps is '._'; allowed: a number"),
        (f"source: [{{fps: {'7' * 400}}}]", "source.fps is '777"),
        (f"start: {'1' * 5000}", "start is '1111"),
        ("start: 1:30", "start is '1:30'; allowed: a number, or text in quotes"),
        ("start: '1:30'", "start is '1:30'; allowed: a number"),
        ("start: 1:30.5", "start is '1:30.5'; allowed: a number"),
        ("window: {size: '0x10'}", "window.size is '0x10'; allowed: a whole number"),
        ("max_frames: 010", "max_frames is '010'; allowed: a number, or text in quotes"),
        ("threads: 0b11", "threads is '0b11'; allowed: a number, or text in quotes"),
        ("# start: 3", "holds nothing; allowed: options with their values"),
        ("null", "holds nothing"),
        ("{}", "holds nothing"),
        ("start: 2001-99-99", "start is '2001-99-99'"),
        (
            "stream: a\nstart: !!timestamp x",
            "line 2 is 'tag:yaml.org,2002:timestamp'",
        ),
        ("publish: &a [*a]", "line 1 is 'an alias'; allowed: the value itself"),
        ("a: &a [x, x]\nb: [*a, *a]", "line 2 is 'an alias'"),
        ("[" * 5000, "line 1 is 'nested too deeply'; allowed: 8 levels"),
        ("start: " + "{a: " * 5000, "line 1 is 'nested too deeply'"),
        ("window: {strid: 3}", "unknown option 'window.strid'; did you mean window.stride?"),
        ("inputs: a.mp4", "unknown option 'inputs'; did you mean input?"),
        ("SOURCE: a.mp4", "unknown option 'SOURCE'; did you mean input?"),
        ("source: a.mp4", "source is 'a.mp4'; allowed: a mapping of its options (SOURCE is input)"),
        ("\tstart: 3", "line 1 has a tab where YAML takes only spaces"),
        ("window:\n\tstride: 3", "line 2 has a tab where YAML takes only spaces"),
        (
            "stream: 5",
            "stream is '5'; allowed: text (in YAML, in quotes where it looks like something else)",
        ),
        ("num_frames: 36", "num_frames is '36'; allowed: window.size in a config"),
        ("weights: a\nmodel_path: b", "model_path is 'b'; allowed: weights in a config"),
        ("config: [a.yaml]", "config is 'a.yaml'; allowed: no config within a config"),
        ("output:", "holds only 'output:'; allowed: options with their values"),
        ("[a.mp4]", "holds only '[a.mp4]'; allowed: options with their values"),
        ("metrics: {port: [1]}", "metrics.port is '[1]'; allowed: a whole number"),
        ("output: a.mp4\noutput: b.mp4\n", "output is 'there twice'; allowed: once, several"),
        ("source:\n  fps: 3\n  fps: 4\n", "source.fps is 'there twice'"),
        ("0b_: 3", "0b_ is 'in place of a name'; allowed: an option's name"),
        ("start: 5\n<<: {start: 3}\n", "<< is 'in place of a name'; allowed: an option's name"),
        ("window: 2001-01-01", "window is '2001-01-01'; allowed: a mapping of its options"),
        ("window: {class_path: x.y}", "unknown option 'window.class_path'"),
        ("window.class_path: x.y", "unknown option 'window.class_path'"),
        ("source.fps: 3\nsource: {loop: true}\n", "source is 'there beside source.fps'"),
    ],
)
def test_what_reached_further_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert refused(text, tmp_path / "c.yaml").startswith(message)


@pytest.mark.parametrize("name", ["help", "version", "print_config"])
def test_what_no_config_may_hold_is_not_suggested(tmp_path: Path, name: str) -> None:
    assert f"did you mean {name}" not in refused(f"{name}: 1", tmp_path / "c.yaml")


def test_of_several_configs_the_one_at_fault_is_named(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("start: 1")
    (tmp_path / "bad.yaml").write_text("input: a.mp4\nroi: [1, 2")
    files = [word for name in ("good", "bad") for word in ("--config", f"{tmp_path}/{name}.yaml")]
    with pytest.raises(ConfigError) as caught:
        parse(files)
    assert str(caught.value).startswith(
        f"config {tmp_path}/bad.yaml: while parsing a flow sequence"
    )
    assert "in line 2, column 6" in str(caught.value)
    assert "string" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("window: {stride: 0}", "window.stride is 0; allowed: auto, or from 1"),
        ("start: 0\nstream:", "stream is empty; allowed: text"),
        ("start: 0\ninput: ''", "input is ''; allowed: text"),
        ("source: 3", "source is 3; allowed: a mapping"),
        ("publish: 5", "publish is 5; allowed: a text, or a list"),
    ],
)
def test_the_config_of_a_value_that_is_not_allowed_is_named(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "c.yaml"
    assert refused(text, path).startswith(message)
    with pytest.raises(ConfigError, match=rf"^config {path}: {message[:10]}"):
        parse(["--config", "live", "--config", str(path), "--threshold", "0.1"])
    assert parse(["--config", "live"]).input is None


def test_a_value_of_the_command_line_is_not_a_configs(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("window: {stride: 3}")
    with pytest.raises(ConfigError, match=r"^window\.stride is 0"):
        parse(["--config", str(tmp_path / "c.yaml"), "--window.stride", "0"])


def test_text_that_looks_like_no_value_is_text(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "stream: 2001-99-99\ninput: '0b_'\nweights: '1:30'\nsource: {format: a b}\n",
        encoding="utf-8",
    )
    config = parse(["--config", str(path), "--annotations", "0x10"])
    assert (config.stream, config.input) == ("2001-99-99", "0b_")
    assert (config.weights, config.annotations) == ("1:30", "0x10")


def test_numbers_are_taken_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("start: 1_000.5\nmax_frames: 1_000\nthreshold: 5.e-1\nsource: {fps: +25}\n")
    config = parse(["--config", str(path), "--duration", "05"])
    assert (config.start, config.max_frames, config.threshold) == (1000.5, 1000, 0.5)
    assert (config.source.fps, config.duration) == (25, 5)


def test_values_of_a_program_are_refused_too() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ConfigError, match="nested too deeply, or holds itself"):
        configure({"publish": loop})
    group: dict[str, Any] = {}
    group["a"] = group
    with pytest.raises(ConfigError, match=r"unknown option 'window\.a'"):
        configure({"window": group})
    with pytest.raises(ConfigError, match="too many digits"):
        configure({"start": 10**400})
    with pytest.raises(ConfigError, match="start is nan"):
        configure({"start": math.nan})
    with pytest.raises(ConfigError, match="too many digits"):
        parse(["--start", "7" * 400])
    with pytest.raises(ConfigError, match="duration is '1:30'; allowed: a number"):
        configure({"duration": "1:30"})


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that has not been imported; beside it lie a file of options and one of no text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "not_to_be_imported.py").write_text("x = 1")
    (tmp_path / "w.yaml").write_text("stride: 2")
    (tmp_path / "clip.mp4").write_bytes(b"\xff\xfe\x9e")
    return "not_to_be_imported"


@pytest.mark.parametrize("group", ["window", "stitch"])
def test_a_group_is_no_file_and_no_module(module: str, group: str) -> None:
    for text in (f"{module}.x", f"{module}.py", "w.yaml", "clip.mp4", "\0", "{stride: 3}"):
        with pytest.raises(
            ConfigError, match=rf"^{group} is .*; allowed: a mapping of its options"
        ):
            configure({group: text})
        with pytest.raises(ConfigError, match=f"unrecognized argument: --{group}; its options are"):
            parse([f"--{group}", text])
    for text in (f"{module}.x", "w.yaml", "clip.mp4"):
        Path("c.yaml").write_text(f"{group}: {text}")
        with pytest.raises(ConfigError, match=f"c.yaml: {group} is '{text}'; allowed: a mapping"):
            parse(["--config", "c.yaml"])
    with pytest.raises(ConfigError, match=f"unknown option '{group}.class_path'"):
        configure({group: {"class_path": f"{module}.x"}})
    assert module not in sys.modules


def test_texts_of_a_program_are_no_yaml() -> None:
    config = configure({"weights": "null", "categories": "[a, b]", "source": {"format": "~"}})
    assert (config.weights, config.categories, config.source.format) == ("null", "[a, b]", "~")
    with pytest.raises(ConfigError, match="roi is 'null'; allowed: left,top,width,height"):
        configure({"roi": "null"})


def test_a_value_of_a_program_is_shown_as_it_is() -> None:
    for options, message in [
        ({"device": Path("cpu")}, "device is PosixPath('cpu'); allowed: auto or cpu or cuda"),
        ({"masks": 0}, "masks is 0; allowed: true or false"),
        ({"window": {"stride": 2.5}}, "window.stride is 2.5; allowed: auto or a whole number"),
        ({"weights": 3}, "weights is 3; allowed: text"),
    ]:
        with pytest.raises(ConfigError) as caught:
            configure(options)
        assert str(caught.value) == message
