"""Assets out of packages that a command brings: checked, kept, replaced, refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamer.errors import SinkError, SourceError
from tests.archives import contents, pack, sums
from training.drawings import svg
from training.fetch import fetch, main
from training.packages import Package

FILES = {"root/one": b"first", "root/two": b"second" * 1000, "other/one": b"not this"}
RIGHT = sums({"a/first": FILES["root/one"], "second": FILES["root/two"]})
NO_COMMAND = ("no-such-program-anywhere",)


def package(archive: Path, root: str = "root/", **files: str) -> Package:
    """A package that a command brings, as a package manager would; two files unless told."""
    names = files or {"a/first": "one", "second": "two"}
    return Package("the package", ("cp", str(archive), "."), "a copy", root, names)


@pytest.mark.parametrize("ending", ["whl", "tgz", "tar.gz", "deb"])
def test_files_come_out_of_every_kind_of_package(
    tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if ending == "deb" and shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    root = "./root/" if ending == "deb" else "root/"
    given = package(pack(tmp_path / f"p.{ending}", FILES), root)
    fetch(tmp_path / "new" / "assets", [given], RIGHT)
    assert contents(tmp_path / "new" / "assets") == {
        "a/first": FILES["root/one"],
        "second": FILES["root/two"],
    }
    assert capsys.readouterr().out == "the package: fetching 2 of 2 files\n"


def test_an_icon_of_a_set_becomes_a_file(tmp_path: Path) -> None:
    icons = b'{"icons": {"cat": {"body": "<path/>"}, "dog": {"body": "<g/>"}}}'
    given = package(
        pack(tmp_path / "p.tgz", {"root/icons.json": icons}),
        **{"08_dog/a.svg": "icons.json#dog", "14_cat/a.svg": "icons.json#cat"},
    )
    made = {place: svg(icons, place[3:6]) for place in given.files}
    fetch(tmp_path / "assets", [given], sums(made))
    assert contents(tmp_path / "assets") == made


def test_only_what_is_missing_or_wrong_is_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = package(pack(tmp_path / "p.tgz", FILES))
    folder = tmp_path / "assets"
    fetch(folder, [given], RIGHT)
    before = (folder / "second").stat()
    (folder / "a" / "first").write_bytes(b"firs")
    fetch(folder, [given], RIGHT)
    assert (folder / "a" / "first").read_bytes() == b"first"
    assert (folder / "second").stat().st_ino == before.st_ino
    fetch(folder, [replace(given, command=NO_COMMAND)], RIGHT)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "the package: fetching 1 of 2 files",
        "the package: 2 of 2 files are there",
    ]


def test_a_wrong_checksum_names_the_file_and_nothing_is_written(tmp_path: Path) -> None:
    given = package(pack(tmp_path / "p.tgz", FILES))
    wrong = RIGHT | {"second": "0" * 64}
    expected = f"the package: second has SHA-256 {RIGHT['second']}, expected {'0' * 64}"
    with pytest.raises(SourceError, match=expected):
        fetch(tmp_path / "assets", [given], wrong)
    assert contents(tmp_path / "assets") == {}


def test_a_file_that_the_package_lacks_is_named(tmp_path: Path) -> None:
    given = package(pack(tmp_path / "p.whl", FILES), second="gone.txt")
    with pytest.raises(SourceError, match=r"there is no root/gone\.txt in it, for second"):
        fetch(tmp_path / "assets", [given], RIGHT)


@pytest.mark.parametrize("ending", ["whl", "tgz", "deb"])
def test_a_package_cut_short_is_an_error(tmp_path: Path, ending: str) -> None:
    if ending == "deb" and shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    archive = pack(tmp_path / f"p.{ending}", FILES)
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(SourceError, match=rf"the package: cannot unpack p\.{ending}: "):
        fetch(tmp_path / "assets", [package(archive)], RIGHT)
    assert contents(tmp_path / "assets") == {}


def test_a_command_that_is_missing_or_fails_is_named_with_what_it_needs(tmp_path: Path) -> None:
    given = package(tmp_path / "gone.tgz")
    with pytest.raises(SourceError, match=r"cp .*gone\.tgz \. failed: cp: .*; needed: a copy"):
        fetch(tmp_path, [given], RIGHT)
    with pytest.raises(SourceError, match=r"failed: it says nothing; needed: a copy"):
        fetch(tmp_path, [replace(given, command=("true",))], RIGHT)
    with pytest.raises(SourceError, match=r"cannot run no-such-program-anywhere: No such file"):
        fetch(tmp_path, [replace(given, command=NO_COMMAND)], RIGHT)


def test_what_a_package_cannot_give_comes_from_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = replace(package(pack(tmp_path / "p.tgz", FILES)), name="the other")
    fetch(tmp_path / "a", [replace(other, name="it", command=NO_COMMAND, instead=other)], RIGHT)
    old = package(pack(tmp_path / "old.tgz", {"root/one": b"", "root/two": b""}))
    fetch(tmp_path / "b", [replace(old, instead=other)], RIGHT)
    assert contents(tmp_path / "a") == contents(tmp_path / "b") != {}
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("it: cannot run no-such-program-anywhere")
    assert lines[2] == "the other: fetching it instead"
    assert "has SHA-256" in lines[4]


def test_backgrounds_become_jpeg(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    picture = cv2.GaussianBlur(noise, (0, 0), 4)
    png = cv2.imencode(".png", picture)[1].tobytes()
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    files = {"backgrounds/a.jpg": "a.png"}
    given = package(pack(tmp_path / "p.tgz", {"root/a.png": png}), **files)
    fetch(tmp_path / "assets", [given], sums({"backgrounds/a.jpg": jpeg}))
    assert contents(tmp_path / "assets") == {"backgrounds/a.jpg": jpeg}
    for broken in (png[:60], b""):
        given = package(pack(tmp_path / "p.tgz", {"root/a.png": broken}), **files)
        with pytest.raises(SourceError, match=r"backgrounds/a\.jpg: .* is not a picture"):
            fetch(tmp_path / "broken", [given], sums({"backgrounds/a.jpg": jpeg}))


def test_a_folder_that_cannot_be_made_is_an_error_before_anything_is_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot make the folder"):
        fetch(tmp_path / "file" / "assets", [package(tmp_path / "gone.tgz")], RIGHT)
    assert main([str(tmp_path / "file")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: cannot make the folder")
