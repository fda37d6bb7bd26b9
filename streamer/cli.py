"""The command line: parse, launch, and turn the outcome into an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from streamer.allocator import keep_memory
from streamer.exit_codes import code_of, complain, describe
from streamer.installation import whole_installation
from streamer.json_log import JsonFormatter
from streamer.openmp import share_cores
from streamer.signals import exit_code, handled, interrupt
from streamer.sources.credentials import shows_password
from streamer.standard_output import prepare_streams, printing

if TYPE_CHECKING:
    from streamer.config import StreamConfig

log = logging.getLogger("streamer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stream; returns the exit code (0 done, 1 failed, 2 misused, 128 + signal).

    Args:
        arguments: The command line without the program's name; None takes the process's own.
    """
    prepare_streams()
    console = logging.StreamHandler()
    logging.basicConfig(
        level=logging.WARNING, format="%(levelname)s: %(message)s", handlers=[console]
    )
    given = sys.argv[1:] if arguments is None else arguments
    is_json = "--log=json" in given or ("--log", "json") in pairwise(given)
    try:
        with handled(interrupt), printing():
            # Imported late: a signal may come in the half second that it takes.
            with whole_installation():
                from streamer.arguments import parse  # noqa: PLC0415
            config = parse(given)
            is_json = config.log == "json"
            if is_json:
                console.setFormatter(JsonFormatter())
            return _run(config, given)
        return 0  # nobody reads what was being printed
    except Exception as error:
        text = describe(error)
        if is_json:
            console.setFormatter(JsonFormatter())  # the arguments may have been at fault
            log.error("%s", text)
        else:
            complain(f"vistr-stream: error: {text}")
        return code_of(error)
    except KeyboardInterrupt as interruption:
        return exit_code(interruption)


def _run(config: StreamConfig, given: Sequence[str]) -> int:
    from streamer.path_check import check_paths  # noqa: PLC0415

    log.setLevel(logging.WARNING if config.quiet else logging.INFO)
    if any(map(shows_password, given)):
        log.warning(
            "other users of this machine can see the password in the arguments; "
            "--source.credentials FILE takes it from a file"
        )
    check_paths(config)
    share_cores()
    keep_memory()
    # Imported late: it brings PyTorch, which --help and a mistyped option or file need not wait
    # for.
    with whole_installation():
        from tqdm.contrib.logging import logging_redirect_tqdm  # noqa: PLC0415

        from streamer.launch import launch  # noqa: PLC0415

    with logging_redirect_tqdm():
        return launch(config)


if __name__ == "__main__":
    sys.exit(main())
