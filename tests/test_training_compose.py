"""`training.compose`: the data set it writes is the one that its seed says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.evaluated import write_assets
from training import compose
from training.clip import Clip
from training.youtube_vis import YouTubeVis


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assets")
    write_assets(folder)
    return folder


def composed(folder: Path, assets: Path, *more: str) -> list[Clip]:
    asked = (str(folder), "--clips", "2", "--frames", "3", "--size", "48x80", "--split", "val")
    assert compose.main([*asked, "--assets", str(assets), *more]) == 0
    videos = YouTubeVis(folder / "annotations.json", folder / "JPEGImages", categories=40)
    assert len(videos) == 2
    return [videos.clip(index, 3, None, np.random.default_rng(0)) for index in range(2)]


def test_the_same_seed_writes_the_same_clips(
    tmp_path: Path, assets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = composed(tmp_path / "a", assets)
    again = composed(tmp_path / "b", assets)
    other = composed(tmp_path / "c", assets, "--seed", "5")
    for clip, same, unlike in zip(first, again, other, strict=True):
        assert clip.frames.shape == (3, 48, 80, 3)
        assert (clip.frames == same.frames).all()
        assert (clip.masks == same.masks).all()
        assert (clip.frames != unlike.frames).any()
    assert sum(len(clip.masks) for clip in first) > 0
    assert capsys.readouterr().err == ""  # no progress where nobody watches it


def test_what_cannot_be_done_is_said(
    tmp_path: Path, assets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compose.main([str(tmp_path / "out"), "--assets", str(tmp_path / "none")]) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err
    composed(tmp_path / "out", assets)
    assert compose.main([str(tmp_path / "out"), "--assets", str(assets), "--split", "val"]) == 1
    assert "is there already" in capsys.readouterr().err
    # Before anything that takes long.
    assert compose.main([str(tmp_path / "out"), "--assets", str(tmp_path / "none")]) == 1
    assert "is there already" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert compose.main([str(tmp_path / "file"), "--assets", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.endswith("file is not a folder\n")
    with pytest.raises(SystemExit):
        compose.main([str(tmp_path / "more"), "--size", "48"])
    assert "--size" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        compose.main([str(tmp_path / "more"), "--seed", "-1"])
    assert "--seed: '-1' is no whole number from 0 on" in capsys.readouterr().err
