"""The command line: parse, launch, and turn the outcome into an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from tqdm.contrib.logging import logging_redirect_tqdm

from streamer.allocator import keep_memory
from streamer.arguments import parse
from streamer.config import StreamConfig
from streamer.errors import StreamError
from streamer.json_log import JsonFormatter
from streamer.openmp import share_cores
from streamer.path_check import check_paths
from streamer.signals import exit_code
from streamer.sources.credentials import hide_all_credentials, shows_password

log = logging.getLogger("streamer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stream; returns the exit code (0 done, 1 failed, 2 misused, 128 + signal).

    Args:
        arguments: The command line without the program's name; None takes the process's own.
    """
    console = logging.StreamHandler()
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s: %(message)s", handlers=[console]
    )
    config: StreamConfig | None = None
    try:
        config = parse(arguments)
        log.setLevel(logging.WARNING if config.quiet else logging.INFO)
        if config.log == "json":
            console.setFormatter(JsonFormatter())
        if any(map(shows_password, sys.argv[1:] if arguments is None else arguments)):
            log.warning(
                "other users of this machine can see the password in the arguments; "
                "--source.credentials FILE takes it from a file"
            )
        check_paths(config)
        share_cores()
        keep_memory()
        # Imported late: it brings PyTorch, which --help and a mistyped option or file need not
        # wait for.
        from streamer.launch import launch  # noqa: PLC0415

        with logging_redirect_tqdm():
            return launch(config)
    except StreamError as error:
        # A URL may have come where none belongs, and is then quoted as it stands.
        text = hide_all_credentials(str(error))
        if config is not None and config.log == "json":
            log.error("%s", text)
        else:
            print(f"vistr-stream: error: {text}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as interruption:
        return exit_code(interruption)


if __name__ == "__main__":
    sys.exit(main())
