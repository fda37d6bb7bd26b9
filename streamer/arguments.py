"""The command line's arguments: YAML and flags into a `StreamConfig`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docstring_parser
from jsonargparse import (
    ActionConfigFile,
    ArgumentParser,
    Namespace,
    set_parsing_settings,
)

from streamer import __version__
from streamer.argument_actions import RepeatableAction, SourceAction
from streamer.argument_errors import (
    check_arguments,
    check_options,
    hide_groups,
    one_line_errors,
    refuse_empty,
)
from streamer.argument_help import HelpFormatter
from streamer.config import StreamConfig
from streamer.config_file import (
    check_config_file,
    errors_naming,
    errors_traced,
    is_blank,
    options_in,
)
from streamer.errors import ConfigError, SourceError
from streamer.home import expand_home, with_home
from streamer.option_check import check
from streamer.option_types import is_group, option_types, takes_text
from streamer.script_arguments import ALIASES, ScriptArguments, spell_booleans, translate

CONFIGS = Path(__file__).parent / "configs"
"""Where the configs that ship with the project lie."""

DESCRIPTION = """Segment and follow objects in a video, as a stream: every frame's masks, with
identities that stay, are published over ZeroMQ and written to MP4 and results
files as soon as they are finished."""

EXAMPLES = """examples:
  vistr-stream video.mp4 --output masks.mp4 --results results.json
  vistr-stream rtsp://camera/stream --weights vistr_r50.pth --publish tcp://127.0.0.1:5555
  vistr-stream 0 --window.frame_step 5 --publish tcp://127.0.0.1:5555     (a webcam)

exit codes: 0 done, 1 a file, device, network or weights failed, 2 an argument is wrong,
129 its terminal closed, 130 interrupted, 143 terminated
"""

TYPES = option_types(StreamConfig, ScriptArguments)
"""The types of all options and of their groups, by their names."""
del TYPES["cleaned_folders"]  # no option of its own

SCRIPT_NAMES = {alias.removeprefix("--"): name for name, alias in ALIASES.items()}
"""Names that only the older script's command lines have, and their options."""

REPEATABLE = {"publish": "ENDPOINT", "output": "[STYLE=]PATH", "results": "FILE"}
"""Options that may be given several times, with their placeholders."""


class ConfigAction(ActionConfigFile):
    """A YAML file by its path, or one that ships with the project by its name."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
        """Apply the file's values.

        Raises:
            ConfigError: It is no text, or holds nothing, or what no option takes.
            SourceError: There is no such file, or it cannot be read.
        """
        path = find_config(values)
        check_config_file(path, SCRIPT_NAMES)
        with errors_naming(path), one_line_errors(parser, TYPES):
            if is_blank(path):  # such as one that was cut off: it would play the shipped clip
                raise ConfigError("holds nothing; allowed: options with their values")
            check_options(options_in(path), TYPES)
            parser.parse_path(str(path))  # alone: of values that are merged no file is known
            super().__call__(parser, cfg, str(path), option_string)  # type: ignore[no-untyped-call]


def find_config(name: str) -> Path:
    """The config file at a path, or the shipped one of that name.

    Raises:
        SourceError: There is neither.
    """
    shipped = {path.stem: path for path in CONFIGS.glob("*.yaml")}
    name = expand_home(name)
    if Path(name).is_file():
        return Path(name)
    if name in shipped:
        return shipped[name]
    missing = "no regular file" if Path(name).exists() else "no such file"
    del shipped["demo"]  # of `streamer.demo` alone
    raise SourceError(
        f"config {name!r}: {missing}; configs that ship by name: {', '.join(sorted(shipped))}"
    )


def build_parser() -> tuple[ArgumentParser, SourceAction]:
    """The parser and its SOURCE; the help texts are the docstrings of `streamer.config`."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="vistr-stream",
        usage="vistr-stream [SOURCE] [OPTIONS]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=HelpFormatter,
        version=__version__,
        print_config="--print_config",
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument(
        "--config",
        action=ConfigAction,
        metavar="FILE",
        help="YAML file with any of these options, or the name of a shipped one (live, file, …); "
        "flags that follow it win.",
    )
    texts = {
        parameter.arg_name: parameter.description
        for parameter in docstring_parser.parse_from_object(StreamConfig).params
    }
    source = parser.add_argument(
        "input", nargs="?", action=SourceAction, metavar="SOURCE", help=texts["input"]
    )
    parser.add_argument("--quiet", action="store_true", help=texts["quiet"])
    for name, metavar in REPEATABLE.items():
        parser.add_argument(
            f"--{name}", action=RepeatableAction, default=[], metavar=metavar, help=texts[name]
        )
    parser.add_class_arguments(
        StreamConfig, skip={"input", "quiet", "cleaned_folders", *REPEATABLE}
    )
    parser.add_class_arguments(ScriptArguments)
    _adapt(parser)
    parser._negative_number_matcher = re.compile(r"-[.\d]")  # such as -1,0,10,10: a value, no flag
    return parser, source


def _adapt(parser: ArgumentParser) -> None:
    """Give options their older names, and take away what jsonargparse adds."""
    hide_groups(parser, TYPES)
    for action in parser._actions:
        if action.dest == "print_config":
            action.help = (
                "Print the options as given, and exit; ranges are checked in a run. "
                "--print_config=skip_default leaves out the defaults."
            )
        # One way is enough: a list's items stand in one value.
        action.option_strings = [each for each in action.option_strings if each[-1] != "+"]
        if action.dest in ALIASES:
            # Not by `add_argument`: the options of dataclasses are made by jsonargparse.
            action.option_strings += (ALIASES[action.dest],)
            parser._option_string_actions[ALIASES[action.dest]] = action


def parse(arguments: Sequence[str]) -> StreamConfig:
    """The configuration that a command line asks for.

    Raises:
        ConfigError: An argument is unknown, malformed or out of range.
        SourceError: The config file is not there.
    """
    parser, source = build_parser()
    with one_line_errors(parser, TYPES):
        check_arguments(arguments, parser, TYPES)
        arguments = spell_booleans(arguments)
        values = parser.parse_args(arguments)
        has_clip = any(argument.split("=")[0] == "--mp4_clip_path" for argument in arguments)
        # A config file's is replaced, by either name: the command line wins.
        if source.given is not None:
            values.input = source.given
            values.mp4_clip_path = values.mp4_clip_path if has_clip else None
        elif has_clip:
            values.input = None
        files = values.config or ()
        with errors_traced(files, lambda file: _build(parser, with_home(parser.parse_path(file)))):
            return _build(parser, with_home(values))


def configure(options: Mapping[str, Any]) -> StreamConfig:
    """The configuration with the given fields, checked like a command line's.

    Args:
        options: Fields of `StreamConfig`; a group is a mapping of its own fields.

    Raises:
        ConfigError: A field is unknown, of another type or out of range.
    """
    parser, _ = build_parser()
    with one_line_errors(parser, TYPES, options):
        check_options(options, TYPES)
        texts, others = _texts_apart(options)
        values = parser.parse_object(others)
        values.update(Namespace(texts))
        return _build(parser, values)


def _texts_apart(options: Mapping[str, Any], group: str = "") -> tuple[dict[str, Any], Any]:
    """The texts of options that take any, by their full names, and all else.

    To the parser, a file named null would be none: it reads texts as YAML.
    """
    texts, others = {}, {}
    for name, value in options.items():
        if isinstance(value, str) and takes_text(TYPES[f"{group}{name}"]):
            texts[f"{group}{name}"] = value
        elif is_group(TYPES[f"{group}{name}"]):
            inside, others[name] = _texts_apart(value, f"{name}.")
            texts.update(inside)
        else:
            others[name] = value
    return texts, others


def _build(parser: ArgumentParser, values: Any) -> StreamConfig:
    if isinstance(values.input, int) and not isinstance(values.input, bool):
        values.input = str(values.input)  # a webcam's number, as YAML reads it
    refuse_empty(values, TYPES)
    options = vars(parser.instantiate(values))
    options.pop("config")
    for name in REPEATABLE:
        # In YAML, a single value may stand without the brackets of a list.
        if isinstance(options[name], str):
            options[name] = [options[name]]
        check(isinstance(options[name], list), name, options[name], "a text, or a list of them")
    return StreamConfig(**translate(options))
