"""Make keys for encrypted streams: ``python -m streamer.keys FOLDER NAME …``."""

from __future__ import annotations

from streamer.installation import FOR_READER, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_READER)

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from zmq.auth import create_certificates

from streamer.argument_types import folder_name
from streamer.errors import ConfigError, SinkError
from streamer.exit_codes import command
from streamer.standard_output import say

DESCRIPTION = """Make a pair of CURVE keys for the publisher and for each reader. NAME.key_secret
stays with whom it names, NAME.key goes to the others: the publisher's to each reader, the readers'
into the folder that --zmq.curve_readers names."""


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a pair of keys; only the owner may read the files.

    Args:
        folder: Where to write them; made if it is missing.
        name: Of the files, without a slash.

    Returns:
        The files of the public and of the secret key, ``name.key`` and ``name.key_secret``.

    Raises:
        ConfigError: The name is not a plain file name, or the files exist.
        SinkError: They cannot be written.
    """
    if not name or Path(name).name != name:
        raise ConfigError(f"the name is {name!r}; allowed: a file's name, without a folder")
    paths = folder / f"{name}.key", folder / f"{name}.key_secret"
    umask = os.umask(0o077)
    try:
        for path in paths:
            if path.exists():
                raise ConfigError(f"{path} exists; whoever has its key could not connect any more")
        folder.mkdir(parents=True, exist_ok=True)
        create_certificates(folder, name)
    except OSError as error:
        raise SinkError(f"{folder}: no keys can be written: {error}") from error
    finally:
        os.umask(umask)
    return paths


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Make keys from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m streamer.keys", description=DESCRIPTION)
    parser.add_argument("folder", type=folder_name, help="where to write the keys")
    parser.add_argument("names", nargs="+", metavar="NAME", help="publisher or reader")
    options = parser.parse_args(arguments)
    for name in options.names:
        for path in make_keys(options.folder, name):
            say(str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
