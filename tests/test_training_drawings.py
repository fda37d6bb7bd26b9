"""Icons out of their sets, and pictures of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.categories import YOUTUBE_VIS_2019
from streamer.errors import SourceError
from training.drawings import SIZE, render, svg
from training.icon_sets import DRAWN, ICON_SETS

LEFT_HALF = '<path fill="#f00" d="M0 0h8v16h-8z"/>'
SET = {
    "prefix": "x",
    "width": 32,
    "height": 32,
    "icons": {"cat": {"body": LEFT_HALF}, "ox": {"body": LEFT_HALF, "left": 4, "height": 16}},
    "aliases": {"kitten": {"parent": "cat"}},
}


def test_icons_show_one_category_each_and_every_category_is_drawn() -> None:
    assert tuple(DRAWN) == YOUTUBE_VIS_2019
    for icons in ICON_SETS:
        assert set(icons.drawn) <= set(YOUTUBE_VIS_2019)
        names = [name for each in icons.drawn.values() for name in each.split()]
        assert len(names) == len(set(names)) > 60


@pytest.mark.parametrize(
    ("name", "box"), [("cat", "0 0 32 32"), ("kitten", "0 0 32 32"), ("ox", "4 0 32 16")]
)
def test_an_icon_becomes_a_file_of_its_own(name: str, box: str) -> None:
    made = svg(json.dumps(SET).encode(), name).decode()
    assert f'viewBox="{box}">{LEFT_HALF}</svg>' in made


@pytest.mark.parametrize("icons", [b"", b"[]", b"{}", b'{"icons": {"dog": {}}}', b"\xff"])
def test_a_set_without_the_icon_is_an_error(icons: bytes) -> None:
    with pytest.raises(SourceError, match=r"icons\.json has no icon dog: "):
        svg(icons, "dog")


def test_a_drawing_becomes_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(svg(json.dumps({**SET, "width": 16}).encode(), "cat"))
    picture = render(tmp_path / "a.svg")
    assert picture.shape == (2 * SIZE, SIZE, 4)
    assert picture[SIZE // 2, SIZE // 4].tolist() == [255, 0, 0, 255]
    assert picture[SIZE // 2, -SIZE // 4].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("content", ["", "no picture", "<svg"])
def test_a_drawing_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.svg").write_text(content)
    with pytest.raises(SourceError, match=r"a\.svg: cannot be read as SVG: "):
        render(tmp_path / "a.svg")
