"""``python -m streamer.demo [FOLDER]``: the whole stream on the shipped clip, with a reader beside.

Writes an MP4 and results into FOLDER (default ``demo``), publishes on loopback to a
`streamer.client` in a process of its own, and says what both ends measured.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from streamer import cli
from streamer.argument_types import folder_name
from streamer.config import SHIPPED_CLIP
from streamer.errors import StreamError
from streamer.exit_codes import command
from streamer.installation import whole_installation
from streamer.openmp import share_cores
from streamer.output_path import make_folder
from streamer.standard_output import say

READER_S = 60.0
"""Longest wait for the reader to end after the stream has, in seconds."""

SILENCE_S = 600
"""The reader's own limit, should it outlive this process: weights may take long to load."""


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m streamer.demo", description="The whole stream on the shipped clip."
    )
    parser.add_argument("folder", nargs="?", default="demo", type=folder_name, help="default: demo")
    folder: Path = parser.parse_args(arguments).folder
    make_folder(folder)
    endpoint = f"tcp://127.0.0.1:{_free_port()}"
    log = folder / "subscriber.log"
    say(f"publishing on {endpoint} to a subscriber that writes {log}")
    share_cores()
    with whole_installation():
        # Its imports take longer than everything else until the endpoint is there to be found.
        import streamer.launch  # noqa: F401, PLC0415
    with log.open("w", encoding="utf-8") as lines:
        reader = subprocess.Popen(
            [sys.executable, "-m", "streamer.client", endpoint, "--timeout_s", str(SILENCE_S)],
            stdout=lines,
            stderr=lines,
        )
        try:
            code = cli.main(
                [
                    *(str(SHIPPED_CLIP), "--config", "demo", "--publish", endpoint),
                    *("--output", str(folder / "masks.mp4")),
                    *("--results", str(folder / "results.json")),
                ]
            )
            if code:
                return code  # the error has been said
            reader_code = reader.wait(READER_S)
        except subprocess.TimeoutExpired as error:
            raise StreamError(f"the subscriber did not end within {READER_S} s") from error
        finally:
            reader.kill()
            reader.wait()
    for line in log.read_text(encoding="utf-8").splitlines()[-2:]:
        say(f"subscriber: {line}")
    say(f"look at {folder / 'masks.mp4'}; the masks as data are in {folder / 'results.json'}")
    return reader_code


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
