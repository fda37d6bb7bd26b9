"""The parts of clips, and that those of training and of evaluation are apart."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.clips import make_clip
from tests.parts import PERSON
from training.assets import BACKGROUNDS, DEFAULT_FOLDER, DRAWINGS, SPRITES, VIDEO, Assets
from training.composer import Composer
from training.drawings import svg
from training.library import GROUPS, PEOPLE, Library, Split, load_library
from training.run_config import DataConfig
from training.sources import open_sources

PLACES = (DEFAULT_FOLDER, Path(__file__).parents[2] / "shared" / "assets")


def rgba(brightness: int) -> Image.Image:
    """A square with a half transparent edge, white where it cannot be seen."""
    picture = np.full((32, 32, 4), 255, np.uint8)
    picture[4:-4, 4:-4, :3] = brightness
    picture[..., 3] = 0
    picture[4:-4, 4:-4, 3] = 128
    picture[8:-8, 8:-8, 3] = 255
    return Image.fromarray(picture)


def walked(ground: NDArray[np.uint8], t: int) -> NDArray[np.uint8]:
    """A frame of a scene that someone walks through every hundred frames, from the 30th on."""
    frame = ground.copy()
    if 30 <= t % 100 < 50:
        x = 8 + 4 * (t % 100 - 30)
        frame[8:68, x : x + 24][PERSON] = (20, 30, 200)
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assets")
    (folder / VIDEO).parent.mkdir(parents=True)
    ground = np.full((80, 120, 3), 120, np.uint8)
    make_clip(folder / VIDEO, frames=[walked(ground, t) for t in range(PEOPLE["val"].stop)])
    (folder / BACKGROUNDS).mkdir()
    for number in range(7):
        cv2.imwrite(str(folder / BACKGROUNDS / f"{number}.jpg"), ground + np.uint8(number * 10))
    for category, count in {1: 3, 2: 1, 4: 2}.items():
        (folder / SPRITES / f"{category:02}_x").mkdir(parents=True)
        for number in range(count):
            name = f"{SPRITES}/{category:02}_x/{number}.webp"
            rgba(40 * number + 60).save(folder / name, lossless=True, exact=True)
    (folder / DRAWINGS / "02_x").mkdir(parents=True)
    square = '<path fill="#323232" d="M0 0h16v16h-16z"/>'
    for name in ("a", "b"):
        drawing = svg(b'{"icons": {"x": {"body": %s}}}' % json.dumps(square).encode(), "x")
        (folder / DRAWINGS / "02_x" / f"{name}.svg").write_bytes(drawing)
    return folder


@pytest.fixture(scope="module")
def drawn(folder: Path) -> dict[Split, Library]:
    assets = Assets(folder)
    return {"train": load_library(assets, "train"), "val": load_library(assets, "val")}


def test_sprites_are_held_out_where_there_are_enough_and_drawings_are_for_training(
    drawn: dict[Split, Library],
) -> None:
    levels = {
        split: {i: [int(p[16, 16, 0]) for p in some] for i, some in library.sprites.items()}
        for split, library in drawn.items()
    }
    assert levels["train"] == {1: [100, 140], 2: [60, 50, 50], 4: [60, 100]}
    assert levels["val"] == {1: [60], 2: [60], 4: [60, 100]}
    assert drawn["train"].unseen == drawn["val"].unseen == {1}


def test_training_does_without_drawings_if_asked_to(folder: Path) -> None:
    source = open_sources(DataConfig(assets=folder, drawings=False), slots=5).train
    assert isinstance(source, Composer)
    assert {i: len(some) for i, some in source.library.sprites.items()} == {1: 2, 2: 1, 4: 2}


def test_every_fifth_background_is_held_out(drawn: dict[Split, Library]) -> None:
    levels = {s: [round(float(b.mean()), -1) for b in lib.backgrounds] for s, lib in drawn.items()}
    assert levels == {"train": [120, 130, 140, 150, 170, 180], "val": [160]}


def test_colours_of_sprites_are_weighted_by_their_opacity(drawn: dict[Split, Library]) -> None:
    (picture,) = drawn["val"].sprites[2]
    assert picture[0, 0].tolist() == [0, 0, 0, 0]
    assert picture[5, 5].tolist() == [30, 30, 30, 128]
    assert picture[16, 16].tolist() == [60, 60, 60, 255]


def test_people_are_of_a_stretch_of_the_video_each(drawn: dict[Split, Library]) -> None:
    for library in drawn.values():
        assert np.abs(library.scene.astype(int) - 120).max() <= 3
    firsts = {split: [person.first for person in lib.people] for split, lib in drawn.items()}
    assert firsts == {"train": [30, 130, 230, 330, 430], "val": [530]}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_parts_of_training_and_evaluation_are_apart() -> None:
    folder = next((place for place in PLACES if (place / VIDEO).exists()), None)
    if folder is None:
        pytest.skip("the assets are not here: python -m training.fetch brings them")
    train, val = (load_library(Assets(folder), split) for split in ("train", "val"))
    for split, library in (("train", train), ("val", val)):
        assert len(library.people) >= 8
        for tracklet in library.people:
            assert tracklet.first in PEOPLE[split]
            assert tracklet.first + len(tracklet) - 1 in PEOPLE[split]
            assert (tracklet.first, tracklet.boxes[0, 0]) not in GROUPS
            for cutout in tracklet.cutouts:
                assert not cutout[..., :3][cutout[..., 3] == 0].any()
    assert max(PEOPLE["train"]) < min(PEOPLE["val"])
    assert set(train.sprites) == set(val.sprites) == set(range(1, 41))
    assert train.unseen == val.unseen
    assert len(train.unseen) >= 5
    for category in train.unseen:
        held_out = {picture.tobytes() for picture in val.sprites[category]}
        assert held_out.isdisjoint(picture.tobytes() for picture in train.sprites[category])
    pictures = [{picture.tobytes() for picture in lib.backgrounds} for lib in (train, val)]
    assert pictures[0].isdisjoint(pictures[1])
    assert all(pictures)
