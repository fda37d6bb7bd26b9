"""The command line's arguments: YAML and flags into a `StreamConfig`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docstring_parser
from jsonargparse import (
    ActionConfigFile,
    ArgumentParser,
    DefaultHelpFormatter,
    set_parsing_settings,
)

from streamer import __version__
from streamer.config import StreamConfig
from streamer.errors import ConfigError, SourceError

CONFIGS = Path(__file__).parent / "configs"
"""Where the configs that ship with the project lie."""

DESCRIPTION = """Segment and follow objects in a video, as a stream: every frame's masks, with
identities that stay, are published over ZeroMQ and written to MP4 and results
files as soon as they are finished."""

EXAMPLES = """examples:
  vistr-stream video.mp4 --output masks.mp4 --results results.json
  vistr-stream rtsp://camera/stream --weights vistr_r50.pth --publish tcp://127.0.0.1:5555
  vistr-stream 0 --config live --publish tcp://127.0.0.1:5555     (a webcam)

exit codes: 0 done, 1 a file, device, network or weights failed, 2 an argument is wrong,
130 interrupted, 143 terminated
"""

REPEATABLE = {"publish": "ENDPOINT", "output": "FILE", "results": "FILE"}
"""Options that may be given several times, with their placeholders."""


class HelpFormatter(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):  # type: ignore[misc]
    """Shows types and defaults, and leaves the line breaks of the examples alone."""


class RepeatableAction(argparse.Action):
    """Collects an option's values; those of the command line replace those of a config file."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._values: list[str] = []

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Add a value; a new list each time, so that defaults are never changed."""
        self._values = [*self._values, str(values)]
        setattr(namespace, self.dest, self._values)


class ConfigAction(ActionConfigFile):  # type: ignore[misc]
    """A YAML file by its path, or one that ships with the project by its name."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
        """Apply the file's values.

        Raises:
            SourceError: There is no such file.
        """
        super().__call__(parser, cfg, str(find_config(values)), option_string)


def find_config(name: str) -> Path:
    """The config file at a path, or the shipped one of that name.

    Raises:
        SourceError: There is neither.
    """
    shipped = {path.stem: path for path in CONFIGS.glob("*.yaml")}
    if Path(name).is_file():
        return Path(name)
    if name in shipped:
        return shipped[name]
    raise SourceError(
        f"config {name!r}: no such file; configs that ship by name: {', '.join(sorted(shipped))}"
    )


def build_parser() -> ArgumentParser:
    """The parser; its help texts are the docstrings of `streamer.config`."""
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
    parser.add_argument("input", nargs="?", metavar="SOURCE", help=texts["input"])
    parser.add_argument("--quiet", action="store_true", help=texts["quiet"])
    for name, metavar in REPEATABLE.items():
        parser.add_argument(
            f"--{name}", action=RepeatableAction, default=[], metavar=metavar, help=texts[name]
        )
    parser.add_class_arguments(StreamConfig, skip={"input", "quiet", *REPEATABLE})
    return parser


def parse(arguments: Sequence[str] | None = None) -> StreamConfig:
    """The configuration that a command line asks for.

    Raises:
        ConfigError: An argument is unknown, malformed or out of range.
        SourceError: The config file is not there.
    """
    parser = build_parser()
    try:
        values = parser.parse_args(arguments)
        options = vars(parser.instantiate(values))
    except argparse.ArgumentError as error:
        # jsonargparse explains over several lines; the user gets one, with the value at its end.
        raise ConfigError(" ".join(str(error).split())) from error
    options.pop("config")
    for name in REPEATABLE:
        # In YAML, a single value may stand without the brackets of a list.
        if isinstance(options[name], str):
            options[name] = [options[name]]
    return StreamConfig(**options)
