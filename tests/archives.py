"""Packages of all kinds with given files in them, and folders as dicts."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

DEB_CONTROL = (
    "Package: opencv-doc\nVersion: 1\nArchitecture: all\n"
    "Maintainer: nobody <nobody@localhost>\nDescription: test\n"
)


def pack(archive: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into an archive of the kind that its name says."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive, "w") as wheel:
            for name, data in files.items():
                wheel.writestr(name, data)
        return archive
    if archive.suffix == ".deb":
        tree = archive.with_suffix("")
        for name, data in {"DEBIAN/control": DEB_CONTROL.encode(), **files}.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(data)
        subprocess.run(["dpkg-deb", "--build", tree, archive], check=True, capture_output=True)
        return archive
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return archive


def sums(assets: Mapping[str, bytes]) -> dict[str, str]:
    return {place: hashlib.sha256(data).hexdigest() for place, data in assets.items()}


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
